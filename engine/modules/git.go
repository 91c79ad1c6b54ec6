package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// gitModule clones a repository and checks a version out.
type gitModule struct {
	// URL or path of the repository.
	Repo string `yaml:"repo|name,required"`
	// Folder of the work tree; a leading ~ is the user's home. Only with clone: false it may be left out.
	Dest string `yaml:"dest"`
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
	AcceptHostkey bool `yaml:"accept_hostkey"`
	// Take the key of an unknown SSH server, but not another key of a known one.
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
	// Further options of ssh.
	SSHOpts string `yaml:"ssh_opts"`
	// Repository on the host to take objects from.
	Reference string `yaml:"reference"`
	// Folder for the repository itself, beside the work tree; one that is in the work tree is moved there.
	SeparateGitDir string `yaml:"separate_git_dir"`
	// The commit, or the annotated tag, must have a good signature that the user's GnuPG knows.
	VerifyCommit bool `yaml:"verify_commit"`
	// Fingerprints of keys, one of which must have made it.
	GPGWhitelist []string `yaml:"gpg_whitelist"`
	// File that gets the files of the version: .zip, .tar, .tar.gz or .tgz.
	Archive string `yaml:"archive"`
	// Put before each name in it, such as project/.
	ArchivePrefix string `yaml:"archive_prefix"`
}

const gitScript = `git=${executable:-git}
need "$git"
[ -z "$mask" ] || umask "$mask"
dest=$(untilde "$dest"); repo=$(untilde "$repo")
export GIT_TERMINAL_PROMPT=0
ssh="${GIT_SSH_COMMAND:-ssh} -o BatchMode=yes"
[ -z "$accept" ] || ssh="$ssh -o StrictHostKeyChecking=$accept"
[ -z "$key" ] || ssh="$ssh -o IdentitiesOnly=yes -i '$(untilde "$key")'"
export GIT_SSH_COMMAND="$ssh${sshopts:+ $sshopts}"
separate=$(untilde "$separate") reference=$(untilde "$reference") archive=$(untilde "$archive")
before='' new='' got=''
g() { "$git" -C "$dest" "$@"; }
commit() { g rev-parse -q --verify "$1^{commit}" 2>/dev/null; }
there() { [ -e "$dest/.git" ] || { [ -n "$bare" ] && [ -e "$dest/HEAD" ]; }; }
remote_target() { # prints the commit that version names at the remote; nothing where it has no such name
	[ -n "$refs" ] || refs=$("$git" ls-remote -- "$repo") || die "the refs of $repo could not be read"
	if [ "$version" = HEAD ]; then set -- HEAD; else set -- "refs/heads/$version" "refs/tags/$version^{}" "refs/tags/$version" "$version"; fi
	for r; do
		printf '%s\n' "$refs" | while IFS='	' read -r id name; do [ "$name" != "$r" ] || echo "$id"; done | grep . && return
	done
	return 0
}
heads="+refs/heads/*:refs/remotes/$remote/*"
[ -z "$bare" ] || heads="+refs/heads/*:refs/heads/*"
fetch() {
	branch=$version
	if [ "$version" = HEAD ] && [ -z "$bare" ]; then # the remote may have another default branch by now
		branch=$("$git" ls-remote --symref -- "$repo" HEAD | sed -n 's#^ref: refs/heads/\(.*\)	HEAD$#\1#p')
	fi
	few && { [ "$version" != HEAD ] || head; } && return
	many && { [ "$version" != HEAD ] || head; }
}
head() { [ -z "$branch" ] || [ -n "$bare" ] || g symbolic-ref "refs/remotes/$remote/HEAD" "refs/remotes/$remote/$branch"; }
few() { # fetches what version names alone, where that is wanted
	[ -n "$depth$single" ] && [ -z "$refspec$bare" ] || return
	if [ -n "$branch" ]; then
		g fetch -q --force ${depth:+"--depth=$depth"} "$remote" "+refs/heads/$branch:refs/remotes/$remote/$branch" 2>/dev/null && return
	fi
	if [ "$version" != HEAD ]; then
		g fetch -q --force ${depth:+"--depth=$depth"} "$remote" "refs/tags/$version:refs/tags/$version" 2>/dev/null && return
	fi
	g fetch -q ${depth:+"--depth=$depth"} "$remote" "$version" 2>/dev/null && got=$(commit FETCH_HEAD)
}
many() {
	g fetch -q --tags --force "$remote" "$heads" ${refspec:+"$refspec"} >&2 || return
	[ -z "$(commit "$(target)")" ] || return 0
	# the commit may be older than what is here, or on no branch
	if [ -e "$(g rev-parse --git-dir)/shallow" ]; then g fetch -q --unshallow --tags "$remote" "$heads" >&2; fi
	[ -n "$(commit "$(target)")" ] || { g fetch -q "$remote" "$version" 2>/dev/null && got=$(commit FETCH_HEAD); }
	return 0
}
target() { # prints the commit that version names, as far as is known here
	[ -z "$got" ] || { echo "$got"; return; }
	if [ "$version" = HEAD ]; then set -- "refs/remotes/$remote/HEAD"
	else set -- "refs/remotes/$remote/$version" "refs/tags/$version" "$version"; fi
	for r; do commit "$r" && return; done
	return 1
}
checkout() { # COMMIT
	branch=$version
	if [ "$branch" = HEAD ]; then
		branch=$(g symbolic-ref -q "refs/remotes/$remote/HEAD")
		branch=${branch#"refs/remotes/$remote/"}
	fi
	if [ -n "$branch" ] && [ "$(commit "refs/remotes/$remote/$branch")" = "$1" ] && g show-ref -q --verify "refs/remotes/$remote/$branch"; then
		[ -z "$new" ] && [ "$1" = "$before" ] && [ "$(g symbolic-ref -q HEAD)" = "refs/heads/$branch" ] && return
		g checkout -q ${force:+--force} -B "$branch" "$1" >&2 || return
		# not by --track, which wants the branch in the refspecs that fetch by default
		g config "branch.$branch.remote" "$remote" && g config "branch.$branch.merge" "refs/heads/$branch"
	elif [ -n "$new" ] || [ "$1" != "$before" ]; then
		g checkout -q ${force:+--force} --detach "$1" >&2
	fi
}
clone() {
	if [ -d "$dest" ]; then
		[ -z "$(ls -A "$dest")" ] || die "\"$dest\" is there, is not empty and is no repository"
	fi
	mkdir -p "$(dirname "$dest")" || exit
	set -- clone -q
	[ -z "$reference" ] || set -- "$@" --reference "$reference"
	if [ -n "$separate" ]; then
		[ ! -e "$separate" ] || die "separate_git_dir: $separate is there already"
		set -- "$@" "--separate-git-dir=$separate"
	fi
	if [ -n "$bare" ]; then set -- "$@" --bare; else set -- "$@" --no-checkout --origin "$remote"; fi
	named=
	if [ -n "$depth$single" ]; then
		if [ "$version" = HEAD ]; then named=1
		elif [ -n "$(remote_target)" ]; then
			case $version in refs/*) ;; *) named=1; set -- "$@" --branch "$version" ;; esac
		fi
	fi
	[ -z "$named" ] || [ -z "$depth" ] || set -- "$@" "--depth=$depth"
	[ -z "$named" ] || [ -z "$single" ] || set -- "$@" --single-branch
	"$git" "$@" -- "$repo" "$dest" >&2 || exit
	if [ -n "$bare" ]; then
		g config "remote.$remote.url" "$repo" || exit
	fi
	new=1
	if [ -n "$refspec" ] || ! target >/dev/null; then fetch || exit; fi
}
submodules() {
	[ -n "$recursive" ] && [ -z "$bare" ] && [ -e "$dest/.gitmodules" ] || return 0
	was=$(g submodule status --recursive 2>/dev/null)
	g submodule -q sync --recursive >&2 &&
		g submodule -q update --init --recursive ${force:+--force} ${track:+--remote} ${depth:+"--depth=$depth"} >&2 ||
		die "the submodules could not be updated"
	[ "$was" = "$(g submodule status --recursive 2>/dev/null)" ] || say changed 1
}
relocate() { # moves the repository out of the work tree
	[ -n "$separate" ] || return 0
	dir=$(g rev-parse --absolute-git-dir) || exit
	[ "$dir" != "$separate" ] && ! [ "$dir" -ef "$separate" ] || return 0
	[ ! -e "$separate" ] || die "separate_git_dir: $separate is there already"
	say changed 1
	[ -z "$check" ] || return 0
	mkdir -p -- "$(dirname "$separate")" && mv -- "$dir" "$separate" && printf 'gitdir: %s\n' "$separate" >"$dest/.git" || exit
	g config --unset core.worktree
	say git_dir_before "$dir"; say git_dir_now "$separate"
}
verify() { # COMMIT
	[ -n "$verify" ] || return 0
	set -- verify-commit --raw "$1"
	[ "$(g cat-file -t "refs/tags/$version" 2>/dev/null)" != tag ] || set -- verify-tag --raw "$version"
	told=$(g "$@" 2>&1) || die "Failed to verify GPG signature of commit/tag \"$version\": $told"
	[ -n "$keys" ] || return 0
	printf '%s\n' "$told" | while read -r _ word key _ _ _ _ _ _ _ _ main; do
		[ "$word" = VALIDSIG ] || continue
		for k in $keys; do
			case $k in "$key" | "$main") echo good ;; esac
		done
	done | grep -q good || die "the signature of \"$version\" is by none of the keys of gpg_whitelist: $told"
}
archived() { # COMMIT: writes the archive where it is another
	[ -n "$archive" ] || return 0
	case $archive in
	*.zip) format=zip ;;
	*.tgz | *.gz) format=tar.gz ;;
	*) format=tar ;;
	esac
	if [ -n "$check" ]; then
		[ -e "$archive" ] || say changed 1
		return 0
	fi
	made=$(mktemp "$archive.XXXXXXXX") || exit
	trap 'rm -f -- "$made"' EXIT
	g archive "--format=$format" ${prefix:+"--prefix=$prefix"} -o "$made" "$1" >&2 || exit
	if cmp -s -- "$made" "$archive"; then rm -f -- "$made"
	else
		say changed 1
		if [ -e "$archive" ]; then cat <"$made" >"$archive" && rm -f -- "$made" || exit
		else chmod =rw "$made" && mv -- "$made" "$archive" || exit; fi
	fi
	trap - EXIT
}
refs=
if [ -z "$dest" ]; then
	after=$(remote_target) || exit
	say after "$after"; say changed 1
	exit 0
fi
if ! there; then
	if [ -n "$check" ] || [ -z "$clone" ]; then
		after=$(remote_target) || exit
		say after "$after"
		say changed 1 # also without clone, as Ansible has it
		exit 0
	fi
	clone
else
	before=$(commit HEAD)
	say before "$before"
	relocate
	if [ -z "$update" ]; then
		say after "$before"
		archived HEAD
		exit 0
	fi
	url=$(g config --get "remote.$remote.url")
	if [ "$url" != "$repo" ]; then
		say url_changed 1; say changed 1
	fi
	if [ -z "$bare" ] && [ -n "$(g status --porcelain -uno)" ]; then
		[ -n "$force" ] || die "\"$dest\" has local changes; force: true throws them away"
		say changed 1
		say local 1
		[ -n "$check" ] || g reset -q --hard >&2 || exit
	fi
	if [ -n "$check" ]; then
		after=$(remote_target) || exit
		[ -n "$after" ] || after=$(target) || die "$repo has no version \"$version\" that is known here"
		say after "$after"
		[ "$after" = "$before" ] || say changed 1
		archived HEAD
		exit 0
	fi
	if [ "$url" != "$repo" ]; then
		if [ -n "$url" ]; then g remote set-url "$remote" "$repo"; else g remote add "$remote" "$repo"; fi || exit
	fi
	fetch || die "$repo could not be fetched"
fi
if [ -z "$bare" ]; then
	to=$(target) || die "$repo has no version \"$version\""
	verify "$to"
	checkout "$to" || exit
	submodules
	archived HEAD
else
	verify "$(commit "$version")"
	archived "$version"
fi
after=$(commit HEAD)
say after "$after"
if [ -n "$new" ] || [ "$after" != "$before" ]; then say changed 1; fi
`

var archiveEnding = regexp.MustCompile(`\.(?:zip|tar|gz|tgz)$`)

// Validate checks what types cannot say.
func (m *gitModule) Validate() error {
	for name, v := range map[string]string{"repo": m.Repo, "dest": m.Dest, "version": m.Version, "remote": m.Remote, "refspec": m.Refspec} {
		if strings.HasPrefix(v, "-") {
			return fmt.Errorf("%s: %q begins with a dash", name, v)
		}
	}
	switch {
	case m.Repo == "":
		return errors.New("repo must not be empty")
	case m.Dest == "" && m.Clone:
		return errors.New("the destination directory must be specified unless clone=no")
	case m.SeparateGitDir != "" && m.Bare:
		return errors.New("separate_git_dir and bare are mutually exclusive")
	case m.AcceptHostkey && m.AcceptNewHostkey:
		return errors.New("accept_hostkey and accept_newhostkey are mutually exclusive")
	case m.ArchivePrefix != "" && m.Archive == "":
		return errors.New("archive_prefix goes with archive")
	case m.Archive != "" && !archiveEnding.MatchString(m.Archive):
		return fmt.Errorf("archive: %q ends with none of .zip, .tar, .tar.gz and .tgz", m.Archive)
	case m.Version == "" || m.Remote == "":
		return errors.New("version and remote must not be empty")
	case strings.Contains(m.KeyFile, "'"):
		return errors.New("key_file: a path with a quote does not work with git")
	case m.Depth < 0:
		return errors.New("depth: give a number of commits, or 0 for all")
	}
	return nil
}

// Run clones, or fetches and checks out.
func (m *gitModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	accept := ""
	switch {
	case m.AcceptHostkey:
		accept = "no"
	case m.AcceptNewHostkey:
		accept = "accept-new"
	}
	depth := ""
	if m.Depth > 0 {
		depth = number(int64(m.Depth))
	}
	r, err := script{Text: gitScript, Vars: map[string]string{
		"repo": m.Repo, "dest": m.Dest, "version": m.Version, "recursive": flag(m.Recursive), "depth": depth,
		"force": flag(m.Force), "update": flag(m.Update), "clone": flag(m.Clone), "remote": m.Remote, "single": flag(m.SingleBranch),
		"accept": accept, "key": m.KeyFile, "refspec": m.Refspec, "mask": m.Umask, "bare": flag(m.Bare),
		"executable": m.Executable, "track": flag(m.TrackSubmodules), "check": flag(t.Check),
		"sshopts": m.SSHOpts, "reference": m.Reference, "separate": m.SeparateGitDir, "verify": flag(m.VerifyCommit),
		"keys": strings.Join(m.GPGWhitelist, " "), "archive": m.Archive, "prefix": m.ArchivePrefix,
	}}.runShown(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure(""), nil
	}
	d := value.NewDict("before", commitName(r.get("before")), "after", commitName(r.get("after")))
	if r.get("before") != "" {
		d.Set("remote_url_changed", r.is("url_changed"))
	}
	if r.has("git_dir_now") {
		d.Set("git_dir_before", text(r.get("git_dir_before")))
		d.Set("git_dir_now", text(r.get("git_dir_now")))
	}
	if r.is("local") {
		d.Set("msg", "Local modifications exist in the destination: "+m.Dest)
	}
	return engine.Result{Changed: r.is("changed"), Values: d}, nil
}

// commitName is a commit's name as a value; nil where there is none.
func commitName(id string) any {
	if id == "" {
		return nil
	}
	return text(id)
}
