# Ask a server over the network as Kubernetes' probes do. For bash. Exit code: 0 good, 3 good with a warning, else bad.
# dial.sh http SCHEME HOST PORT PATH [HEADER...] | tcp HOST PORT | grpc HOST PORT SERVICE
export LC_ALL=C

fail() { printf '%s\n' "$1"; exit 1; }

# connect SCHEME HOST PORT: descriptors IN and OUT of a connection.
connect() {
    if [ "$1" = https ]; then
        command -v openssl > /dev/null || fail 'HTTPS probes need openssl on this host'
        coproc TLS { openssl s_client -quiet -connect "$2:$3" 2> /dev/null; }
        IN=${TLS[0]} OUT=${TLS[1]}
    else
        { exec 3<> "/dev/tcp/$2/$3"; } 2> /dev/null || fail "dial tcp $2:$3: connection refused or no route"
        IN=3 OUT=3
    fi
}

# request SCHEME HOST PORT PATH [HEADER...]: STATUS and LOCATION of the answer.
request() {
    local scheme=$1 host=$2 port=$3 path=$4 agent=1 accept=1 name=1 header line
    shift 4
    connect "$scheme" "$host" "$port"
    {
        printf 'GET %s HTTP/1.1\r\n' "$path"
        for header in "$@"; do
            case ${header,,} in
                host:*) name= ;;
                user-agent:*) agent= ;;
                accept:*) accept= ;;
            esac
            case ${header,,} in 'accept: ' | 'user-agent: ') ;; *) printf '%s\r\n' "$header" ;; esac
        done
        if [ -n "$name" ]; then printf 'Host: %s:%s\r\n' "$host" "$port"; fi
        if [ -n "$agent" ]; then printf 'User-Agent: kube-probe/1.36\r\n'; fi
        if [ -n "$accept" ]; then printf 'Accept: */*\r\n'; fi
        printf 'Connection: close\r\n\r\n'
    } >&"$OUT" 2> /dev/null || fail "Get \"$scheme://$host:$port$path\": connection closed"
    STATUS= LOCATION=
    IFS= read -r line <&"$IN" || fail "Get \"$scheme://$host:$port$path\": no answer"
    [[ $line =~ ^HTTP/[0-9.]+\ ([0-9]{3}) ]] || fail "Get \"$scheme://$host:$port$path\": malformed HTTP response"
    STATUS=${BASH_REMATCH[1]}
    while IFS= read -r line <&"$IN"; do
        line=${line%$'\r'}
        if [ -z "$line" ]; then break; fi
        if [[ ${line,,} == location:* ]]; then LOCATION=${line#*:} LOCATION=${LOCATION# }; fi
    done
    exec 3>&- 2> /dev/null
}

# http SCHEME HOST PORT PATH [HEADER...]: redirects on the same host are followed, others are good enough.
http() {
    local scheme=$1 host=$2 port=$3 path=$4 hops=0
    shift 4
    while :; do
        request "$scheme" "$host" "$port" "$path" "$@"
        case $STATUS in 301 | 302 | 303 | 307 | 308) ;; *) break ;; esac
        if [ -z "$LOCATION" ]; then break; fi
        if [ "$((hops += 1))" -ge 10 ]; then fail 'stopped after 10 redirects'; fi
        case $LOCATION in
            http://* | https://*)
                [[ $LOCATION =~ ^(https?)://(\[[^]]*\]|[^/:?#]*)(:([0-9]+))?([^#]*) ]]
                if [ "${BASH_REMATCH[2]}" != "$host" ]; then
                    echo "Probe terminated redirects, Response body: $LOCATION"
                    exit 3
                fi
                scheme=${BASH_REMATCH[1]} port=${BASH_REMATCH[4]} path=${BASH_REMATCH[5]}
                if [ -z "$port" ]; then if [ "$scheme" = https ]; then port=443; else port=80; fi; fi
                if [[ $path != /* ]]; then path=/$path; fi ;;
            /*) path=${LOCATION%%#*} ;;
            *) path=${path%%\?*} path=${path%/*}/${LOCATION%%#*} ;;
        esac
    done
    if [ "$STATUS" -ge 200 ] && [ "$STATUS" -lt 400 ]; then exit 0; fi
    fail "HTTP probe failed with statuscode: $STATUS"
}

# frame TYPE FLAGS STREAM: send an HTTP/2 frame; its payload is hexadecimal on stdin.
frame() {
    local payload
    read -r payload
    printf '%b' "$(printf '%06x%02x%02x%08x%s' $((${#payload} / 2)) "$1" "$2" "$3" "$payload" | sed 's/../\\x&/g')"
}

hex() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }
sized() { printf '%02x%s' "${#1}" "$(hex "$1")"; }
take() { head -c "$1" <&3 | od -An -v -tx1 | tr -d ' \n'; }

# grpc HOST PORT SERVICE: grpc.health.v1.Health/Check by hand: one HEADERS and one DATA frame, and their answer.
grpc() {
    local message= head kind flags size payload service
    connect http "$1" "$2"
    if [ -n "$3" ]; then message=0a$(sized "$3"); fi
    {
        printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
        echo | frame 4 0 0
        # :method POST, :scheme http, :path, :authority, content-type, te
        echo "838604$(sized /grpc.health.v1.Health/Check)01$(sized "$1:$2")0f10$(sized application/grpc)00$(sized te)$(sized trailers)" | frame 1 4 1
        printf '00%08x%s\n' $((${#message} / 2)) "$message" | frame 0 1 1
    } >&3 2> /dev/null || fail 'timeout: failed to connect service'
    for _ in $(seq 50); do
        head=$(take 9)
        [ "${#head}" -eq 18 ] || fail 'error: connection closed before the answer'
        size=$((16#${head:0:6})) kind=${head:6:2} flags=$((16#${head:8:2})) payload=
        if [ "$size" -gt 0 ]; then payload=$(take "$size"); fi
        case $kind in
            00)
                if [[ ${payload:10} == 0801* ]]; then exit 0; fi
                fail "service unhealthy (responded with status ${payload:12:2})" ;;
            01) if [ $((flags & 1)) -eq 1 ]; then fail 'error: this server does not implement the grpc health protocol, or does not know the service'; fi ;;
            03 | 07) fail 'error: the server has refused the request' ;;
            04) if [ $((flags & 1)) -eq 0 ]; then echo | frame 4 1 0 >&3; fi ;;
        esac
    done
    fail 'error: no answer among 50 frames'
}

case $1 in
    http) shift; http "$@" ;;
    tcp) connect tcp "$2" "$3" ;;
    grpc) shift; grpc "$@" ;;
esac
