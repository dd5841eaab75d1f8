# Makes the demo's keys once, hands them to the server (uid 10001), and becomes sshd.
set -eu
umask 077
mkdir -p /run/sshd /keys /sockets /tmp/interlink-demo/root
if [ ! -f /keys/complete ]; then
    ssh-keygen -q -t ed25519 -N '' -f /keys/host
    ssh-keygen -q -t ed25519 -N '' -f /keys/id
    printf 'host %s\n' "$(cut -d ' ' -f 1,2 /keys/host.pub)" > /keys/known_hosts
    head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_' > /keys/token
    chown 10001:10001 /keys/id /keys/known_hosts /keys/token
    touch /keys/complete
fi
chmod 755 /keys
chown 10001:10001 /sockets
install -d -m 755 /home/demo/.ssh
install -m 644 /keys/id.pub /home/demo/.ssh/authorized_keys
chown -R demo /home/demo/.ssh /tmp/interlink-demo/root
group=$(stat -c %g /var/run/docker.sock)
getent group "$group" >/dev/null || groupadd -g "$group" dockerhost
usermod -aG "$(getent group "$group" | cut -d : -f 1)" demo
exec "$(command -v sshd)" -D -e -f /dev/null -h /keys/host -o KbdInteractiveAuthentication=no -o UsePAM=no \
    -o PasswordAuthentication=no -o PermitRootLogin=no -o AllowUsers=demo -o MaxSessions=50
