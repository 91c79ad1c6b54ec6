package modules

import (
	"context"

	"farm/engine"
	"farm/inventory/value"
)

// gitModule clones a repository and checks a version out.
type gitModule struct {
	// URL or path of the repository.
	Repo string `yaml:"repo|name,required"`
	// Folder of the work tree; a leading ~ is the user's home.
	Dest string `yaml:"dest,required"`
	// Branch, tag or commit; default the remote's HEAD.
	Version string `yaml:"version"`
	// Clone submodules too.
	Recursive bool `yaml:"recursive"`
	// History of this many commits only; 0 = all.
	Depth int `yaml:"depth"`
	// Throw away local changes.
	Force bool `yaml:"force"`
	// Fetch when the folder is there already.
	Update bool `yaml:"update"`
	// Clone when it is not.
	Clone bool `yaml:"clone"`
	// Name of the remote.
	Remote string `yaml:"remote"`
	// Only the history of the branch.
	SingleBranch bool `yaml:"single_branch"`
	// Take the key of an unknown SSH server.
	AcceptHostkey    bool `yaml:"accept_hostkey"`
	AcceptNewHostkey bool `yaml:"accept_newhostkey"`
	// Private key file on the host.
	KeyFile string `yaml:"key_file"`
	// Further refspec to fetch.
	Refspec string `yaml:"refspec"`
	// Mask of new files, such as "022".
	Umask string `yaml:"umask"`
	// Clone without a work tree.
	Bare bool `yaml:"bare"`
	// The git program.
	Executable string `yaml:"executable"`
	// Follow the submodules' branches.
	TrackSubmodules bool `yaml:"track_submodules"`
}

const gitScript = `git=${executable:-git}
need "$git"
[ -z "$mask" ] || umask "$mask"
dest=$(untilde "$dest"); repo=$(untilde "$repo")
export GIT_TERMINAL_PROMPT=0
ssh="ssh -o BatchMode=yes"
[ -z "$accept" ] || ssh="$ssh -o StrictHostKeyChecking=$accept"
[ -z "$key" ] || ssh="$ssh -o IdentitiesOnly=yes -i $(untilde "$key")"
export GIT_SSH_COMMAND="$ssh"
g() { "$git" -C "$dest" "$@"; }
deep=${depth:+--depth=$depth}
fetch() { # what is wanted, and nothing else where history is short
	if [ "$version" = HEAD ]; then want=HEAD; else want=$version; fi
	if [ -n "$depth" ]; then g fetch -q $deep "$remote" "$want" 2>/dev/null && return; fi
	g fetch -q --tags --force "$remote" ${refspec:+"$refspec"} "+refs/heads/*:refs/remotes/$remote/*" >&2
}
target() { # the commit that version names now
	if [ "$version" = HEAD ]; then
		g remote set-head "$remote" -a >/dev/null 2>&1
		for r in "refs/remotes/$remote/HEAD" FETCH_HEAD; do g rev-parse -q --verify "$r^{commit}" && return; done
	fi
	for r in "refs/remotes/$remote/$version" "refs/tags/$version" "$version" FETCH_HEAD; do
		g rev-parse -q --verify "$r^{commit}" && return
	done
	return 1
}
remote_target() {
	case $version in HEAD) ref=HEAD ;; *) ref="refs/heads/$version refs/tags/$version^{} refs/tags/$version" ;; esac
	GIT_SSH_COMMAND=$ssh "$git" ls-remote "$repo" $ref 2>/dev/null | head -n 1 | cut -f 1
}
say dest "$dest"
if [ ! -e "$dest/.git" ] && ! { [ -n "$bare" ] && [ -e "$dest/HEAD" ]; }; then
	[ -n "$clone" ] || { say after "$(remote_target)"; exit 0; }
	if [ -n "$check" ]; then say changed 1; exit 0; fi
	if [ -d "$dest" ] && [ -n "$(ls -A "$dest")" ]; then die "\"$dest\" is there, not empty and no repository"; fi
	mkdir -p "$(dirname "$dest")" || exit
	branch=
	case $version in HEAD | [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*) ;; *) branch=$version ;; esac
	set -- clone -q --origin "$remote" ${bare:+--bare} ${single:+--single-branch}
	[ -z "$branch" ] || set -- "$@" --branch "$branch"
	if [ -n "$depth" ] && { [ -n "$branch" ] || [ "$version" = HEAD ]; }; then set -- "$@" $deep; fi
	"$git" "$@" -- "$repo" "$dest" >&2 || {
		# a commit's name may look like a branch's and the other way round
		[ -z "$branch" ] || die "clone $repo, version $version: see above"
		exit 1
	}
	say changed 1; new=1
else
	before=$(g rev-parse -q --verify HEAD)
	say before "$before"
	url=$(g config --get "remote.$remote.url")
	if [ "$url" != "$repo" ]; then
		say url_changed 1; say changed 1
		[ -n "$check" ] || g remote set-url "$remote" "$repo" 2>/dev/null || g remote add "$remote" "$repo" || exit
	fi
	if [ -n "$check" ]; then
		t=$(remote_target); [ -n "$t" ] || t=$(target)
		say after "$t"; [ "$t" = "$before" ] || say changed 1
		exit 0
	fi
	if [ -z "$bare" ] && [ -n "$(g status --porcelain -uno)" ]; then
		[ -n "$force" ] || die "\"$dest\" has local changes; force: true throws them away"
		g reset -q --hard || exit
		say changed 1
	fi
	[ -z "$update" ] || fetch || die "fetch from $repo failed"
fi
if [ -z "$bare" ]; then
	if [ -n "$new" ] && ! target >/dev/null; then fetch; fi
	if [ -n "$update$new" ]; then
		t=$(target) || die "$repo has no version \"$version\""
		if [ "$t" != "$(g rev-parse -q --verify HEAD)" ] || [ -n "$new" ]; then
			if g show-ref -q --verify "refs/remotes/$remote/$version"; then
				g checkout -q -B "$version" "$t" >&2 || exit
			elif [ "$version" != HEAD ]; then
				g checkout -q --detach "$t" >&2 || exit
			else
				g reset -q --hard "$t" >&2 || exit
			fi
		fi
		if [ -n "$recursive" ] && [ -e "$dest/.gitmodules" ]; then
			was=$(g submodule status --recursive 2>/dev/null)
			g submodule -q sync --recursive && g submodule -q update --init --recursive ${track:+--remote} $deep >&2 || die "the submodules could not be updated"
			[ "$was" = "$(g submodule status --recursive 2>/dev/null)" ] || say changed 1
		fi
	fi
fi
after=$(g rev-parse -q --verify HEAD)
say after "$after"
[ "$after" = "$before" ] || say changed 1
`

// Run clones, or fetches and checks out.
func (m *gitModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	accept := ""
	switch {
	case m.AcceptHostkey, m.AcceptNewHostkey:
		accept = "accept-new"
	}
	if m.Version != "" && m.Version[0] == '-' || m.Repo[0] == '-' {
		return failed("repo and version do not begin with a dash"), nil
	}
	depth := ""
	if m.Depth > 0 {
		depth = number(int64(m.Depth))
	}
	r, err := script{Text: gitScript, Stdout: outputOf(t), Vars: map[string]string{
		"repo": m.Repo, "dest": m.Dest, "version": m.Version, "recursive": flag(m.Recursive), "depth": depth,
		"force": flag(m.Force), "update": flag(m.Update), "clone": flag(m.Clone), "remote": m.Remote, "single": flag(m.SingleBranch),
		"accept": accept, "key": m.KeyFile, "refspec": m.Refspec, "mask": m.Umask, "bare": flag(m.Bare),
		"executable": m.Executable, "track": flag(m.TrackSubmodules), "check": flag(t.Check),
	}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("git"), nil
	}
	var before any
	if b := r.get("before"); b != "" {
		before = b
	}
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict(
		"before", before, "after", r.get("after"), "remote_url_changed", r.is("url_changed"))}, nil
}
