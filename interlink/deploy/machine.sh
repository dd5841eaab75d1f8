# What a machine is that is to run our services: one line per fact, "NAME VALUE". Set by the caller: il_python, il_base.
printf 'uid %s\n' "$(id -u)"
printf 'user %s\n' "$(id -un)"
printf 'home %s\n' "$HOME"
case $il_base in
    '') if [ "$(id -u)" = 0 ]; then il_base=/opt/interlink; else il_base=$HOME/.interlink-server; fi ;;
    '~') il_base=$HOME ;;
    '~/'*) il_base=$HOME/${il_base#'~/'} ;;
esac
printf 'base %s\n' "$il_base"
if il_path=$(command -v "$il_python" 2>/dev/null); then
    printf 'python %s\n' "$il_path"
    "$il_path" -c '
import sys, sysconfig
print("version %d.%d" % sys.version_info[:2])
print("tag %s" % (sysconfig.get_config_var("SOABI") or ""))
for name in ("venv", "ensurepip"):
    try:
        __import__(name)
        print(name + " yes")
    except ImportError:
        print(name + " no")
' 2>&1
fi
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
    printf 'system yes\n'
    if XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)} systemctl --user show-environment >/dev/null 2>&1; then
        printf 'session yes\n'
        printf 'linger %s\n' "$(loginctl show-user "$(id -un)" --property=Linger --value 2>/dev/null)"
    fi
fi
while [ -n "$il_base" ] && [ ! -d "$il_base" ]; do il_base=${il_base%/*}; done
printf 'free %s\n' "$(df -Pk "${il_base:-/}" | awk 'NR == 2 { print $4 }')"
