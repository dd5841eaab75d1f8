# Prints what a container takes from its image as assignments of a shell, from the image's OCI configuration
# (JSON on stdin): oci_entrypoint and oci_cmd (words for `eval "set -- ..."`), oci_workdir, oci_user, oci_stop, oci_env.
# https://github.com/opencontainers/image-spec/blob/main/config.md; run with LC_ALL=C, so that a character is a byte.

BEGIN {
	wanted["/Entrypoint"] = "oci_entrypoint"
	wanted["/Cmd"] = "oci_cmd"
	wanted["/Env"] = "oci_env"
	single["/WorkingDir"] = "oci_workdir"
	single["/User"] = "oci_user"
	single["/StopSignal"] = "oci_stop"
	quote = sprintf("%c", 39)
	for (n = 1; n < 256; n++) byte[n] = sprintf("%c", n)
}

{ text = text $0 "\n" }

END {
	at = 1
	value("")
	space()
	if (failed || at <= length(text)) exit 1
	for (path in wanted) print wanted[path] "=" quoted(lists[path])
	for (path in single) print single[path] "=" quoted(texts[path])
}

function space() { while (at <= length(text) && index(" \t\r\n", substr(text, at, 1))) at++ }

function value(path,    c) {
	space()
	c = substr(text, at, 1)
	if (c == "{") object(path)
	else if (c == "[") list(path)
	else if (c == "\"") texts[path] = string()
	else if (match(substr(text, at, 40), /^[-+.0-9a-zA-Z]+/)) at += RLENGTH
	else { failed = 1; at = length(text) + 1 }
}

function object(path,    key) {
	for (at++; !failed; at++) {
		space()
		if (substr(text, at, 1) == "}") { at++; return }
		key = string()
		space()
		if (substr(text, at, 1) != ":") { failed = 1; return }
		at++
		value(path "/" key)
		space()
		if (substr(text, at, 1) == "}") { at++; return }
		if (substr(text, at, 1) != ",") failed = 1
	}
}

function list(path,    item) {
	for (at++; !failed; at++) {
		space()
		if (substr(text, at, 1) == "]") { at++; return }
		item = path "[]"
		delete texts[item]
		value(item)
		lists[path] = lists[path] (lists[path] == "" ? "" : " ") quoted(texts[item])
		space()
		if (substr(text, at, 1) == "]") { at++; return }
		if (substr(text, at, 1) != ",") failed = 1
	}
}

# A JSON string at `at`, which is left behind it.
function string(    out, rest, c) {
	if (substr(text, at, 1) != "\"") { failed = 1; return "" }
	at++
	out = ""
	while (at <= length(text)) {
		rest = substr(text, at, 512)
		if (match(rest, /^[^"\\]+/)) { out = out substr(rest, 1, RLENGTH); at += RLENGTH; continue }
		c = substr(rest, 1, 1)
		if (c == "\"") { at++; return out }
		c = substr(rest, 2, 1)
		at += 2
		if (c == "u") { out = out unicode(); continue }
		if (c == "n") c = "\n"
		else if (c == "t") c = "\t"
		else if (c == "r") c = "\r"
		else if (c == "b") c = "\b"
		else if (c == "f") c = "\f"
		out = out c
	}
	failed = 1
	return out
}

# The four hexadecimal digits at `at`, and a second half of a pair if one follows, in UTF-8.
function unicode(    code, low) {
	code = hex(substr(text, at, 4))
	at += 4
	if (code >= 55296 && code < 56320 && substr(text, at, 2) == "\\u") {
		low = hex(substr(text, at + 2, 4))
		at += 6
		code = 65536 + (code - 55296) * 1024 + (low - 56320)
	}
	if (code < 128) return byte[code]
	if (code < 2048) return byte[192 + int(code / 64)] byte[128 + code % 64]
	if (code < 65536) return byte[224 + int(code / 4096)] byte[128 + int(code / 64) % 64] byte[128 + code % 64]
	return byte[240 + int(code / 262144)] byte[128 + int(code / 4096) % 64] byte[128 + int(code / 64) % 64] byte[128 + code % 64]
}

function hex(digits,    n, sum) {
	sum = 0
	for (n = 1; n <= 4; n++) sum = sum * 16 + index("0123456789abcdef", tolower(substr(digits, n, 1))) - 1
	return sum
}

# One word of a shell. A quote becomes '"'"': the interpreter in apptainer keeps the backslash of the other spelling.
function quoted(word,    out, n, parts, count) {
	count = split(word, parts, quote)
	out = parts[1]
	for (n = 2; n <= count; n++) out = out quote "\"" quote "\"" quote parts[n]
	return quote out quote
}
