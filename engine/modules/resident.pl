# Does in one process what the scripts of stat and copy start several programs for.
#
# A question is a line of words in hex: the text that ends the answer, the function, then
# names and values of the variables that the script would have. The answer is what the
# script would say. What is not plain is left to the script: the answer is "pass" then,
# and nothing has been changed.
use strict;
use Errno 'ENOENT';
use Fcntl qw(O_RDONLY O_WRONLY O_CREAT O_EXCL O_NOFOLLOW);

my $tmp;    # the file that is being written
$SIG{$_} = sub { unlink $tmp if defined $tmp; exit 1 } for qw(HUP INT TERM);

sub told { my ($key, $value) = @_; "\036$key=$value\0" }

sub user  { getpwuid($_[0]) // die }
sub group { getgrgid($_[0]) // die }

# A file of at most $max bytes; dies where it is longer or cannot be read.
sub content {
	my ($path, $max) = @_;
	sysopen my $f, $path, O_RDONLY | O_NOFOLLOW or die;
	my $text = '';
	while (1) {
		my $n = sysread($f, $text, $max + 1 - length $text, length $text) // die;
		die if length $text > $max;
		return $text unless $n;
	}
}

sub statline {
	my ($path, @s) = @_;
	join '|', sprintf('%x', $s[2]), sprintf('%o', $s[2] & 07777), @s[4, 5, 7, 1, 0, 3, 12, 11, 8, 9, 10], user($s[4]), group($s[5]), "$path\n";
}

# What the system would allow, as `use filetest 'access'` asks it: not every Perl has that
# file, and POSIX takes longer to load than all else here.
sub permissions {
	my $path = shift;
	BEGIN { $^H |= 0x400000 }
	return (r => -r $path, w => -w $path, x => -x $path);
}

sub stat_file {
	my $v    = shift;
	my $path = $v->{path};
	my @s    = lstat $path;
	return told(path => $path) if !@s && $! == ENOENT;
	die if !@s || -l _;
	die if $v->{mime} && grep { -x "$_/file" } split /:/, $ENV{PATH};
	@s = lstat $path or die;
	my $plain = -f _;
	my %may   = permissions($path);
	my $sum   = $v->{algorithm} && $plain && $may{r};
	my $all = statline($path, @s);
	for my $more (split /\n/, $v->{magic}) {
		my @m = lstat $more or next;
		$all .= statline($more, @m);
	}
	my $told = told(path => $path) . told(stat => $all);
	for (sort keys %may) {
		$told .= told("may_$_" => 1) if $may{$_};
	}
	$told .= told(bytes => unpack 'H*', content($path, $v->{most})) if $sum;
	return $told;
}

sub placed {
	my ($v, $changed, @s) = @_;
	my $meta = join ' ', sprintf('%o', $s[2] & 07777), @s[4, 5, 7], user($s[4]), group($s[5]);
	return told(sum => $v->{sum}) . told(meta => $meta) . told(state => 'file') . told(path => $v->{dest}) . told(changed => $changed);
}

# Tells of a file that is as it should be, or that there is none.
sub look {
	my $v = shift;
	my ($dest, $mode, $owner, $group) = @$v{qw(dest mode owner group)};
	my @s = lstat $dest or return $! == ENOENT ? told(absent => 1) : die;
	die unless -f _ && $mode =~ /^[0-7]*\z/ && ($mode eq '' || oct $mode == ($s[2] & 07777));
	die unless $owner eq '' || $owner eq $s[4] || $owner eq user($s[4]);
	die unless $group eq '' || $group eq $s[5] || $group eq group($s[5]);
	die if $s[7] != length $v->{content} || content($dest, $s[7]) ne $v->{content};
	return placed($v, '', @s);
}

# The number of a user or group, which is a name or a number; -1 = as it is.
sub number {
	my ($name, $number) = @_;
	return -1 if $name eq '';
	$number //= $name =~ /^(0|[1-9][0-9]{0,9})\z/ ? $name : die;
	return $number < 0xffffffff ? $number : die;
}

# Makes a file where there is none.
sub put_file {
	my $v = shift;
	my ($dest, $mode, $owner, $group) = @$v{qw(dest mode owner group)};
	my $uid = number($owner, scalar getpwnam $owner);
	my $gid = number($group, scalar getgrnam $group);
	my $new = "$mode$owner$group" eq '';    # with the mode that new files have
	die if $mode !~ /^[0-7]*\z/ || lstat $dest || $! != ENOENT || $dest !~ m{^(.*/)([^/]+)\z}s;
	my $name = "$1.$2.farm-$v->{token}";
	sysopen my $f, $name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, $new ? 0666 : 0600 or die;
	$tmp = $name;
	for (my $at = 0; $at < length $v->{content};) {
		$at += syswrite($f, $v->{content}, length($v->{content}) - $at, $at) // die;
	}
	chown $uid, $gid, $f or die;
	if (!$new) { chmod $mode eq '' ? 0666 & ~umask : oct $mode, $f or die }
	my @s = stat $f or die;
	my $told = told(content => 1) . placed($v, 1, @s);
	close $f or die;
	rename $tmp, $dest or die;
	undef $tmp;
	return $told;
}

my %do = (stat => \&stat_file, look => \&look, put => \&put_file);
binmode $_ for *STDIN, *STDOUT;
$| = 1;
while (defined(my $line = <STDIN>)) {
	chomp $line;
	my ($end, $function, %v) = map { pack 'H*', $_ } split / /, $line, -1;
	my $told = eval { $do{$function}->(\%v) };
	if (!defined $told) {
		unlink $tmp if defined $tmp;
		undef $tmp;
		$told = told(pass => 1);
	}
	print "$told$end\n";
}
