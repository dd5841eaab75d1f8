# environ.sh FILE COMMAND...: become the command, with the variables of the file, "NAME=VALUE" each and a NUL after it.
# No shell can assign a name such as `app.conf`, and values do not belong in arguments, where everybody can read them.
for il_word in perl python3 ''; do
    command -v "$il_word" > /dev/null 2>&1 && break
done
case $il_word in
    perl)
        # shellcheck disable=SC2016
        exec perl -e '
            open(my $file, "<:raw", shift) or die "environ: $!\n";
            local $/ = "\0";
            while (<$file>) { chomp; my ($name, $value) = split /=/, $_, 2; $ENV{$name} = $value }
            exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n"' "$@" ;;
    python3)
        exec python3 -c '
import os, sys
with open(sys.argv[1], "rb") as file:
    os.environb.update(line.split(b"=", 1) for line in file.read().split(b"\0")[:-1])
os.execvp(sys.argv[2], sys.argv[2:])' "$@" ;;
esac
echo 'a variable of several lines, or of 60 KiB, under a name that no shell can assign takes perl or python3 on the host' >&2
exit 125
