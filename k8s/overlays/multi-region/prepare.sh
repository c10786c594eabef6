#!/usr/bin/env bash
# What all regions must have in common before any of them starts: namespaces, the first access key and what keys are encrypted
# with, the two CAs (the fleet's, whose holders are members, and the edge's, which clients trust). Made once: what one region has, the others get, and
# what is there already stays. Needs openssl only where nothing is there yet.
#
#   prepare.sh               make what is missing
#   prepare.sh --from east   what east has replaces what the others have: after a new access key, or once the replacement
#                            of a CA was begun there
set -euo pipefail
umask 077
# shellcheck source-path=SCRIPTDIR source=regions.sh
source "$(dirname "${BASH_SOURCE[0]}")/regions.sh"
from=
if [ "${1:-}" = --from ]; then from=${2:?region}; fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

make_ca() { # make_ca FOLDER NAME
    openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$2" \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$1/tls.key" -out "$1/tls.crt" 2>"$1.log" ||
        { cat "$1.log" >&2 && return 1; }
    cp "$1/tls.crt" "$1/ca.crt"
}

make_credentials() { # make_credentials FOLDER NAME
    # As the chart makes them: `AKIA` and 16 letters and digits; 30 bytes are 40 characters of base64.
    printf 'AKIA%s' "$(head -c 10 /dev/urandom | base32 | tr -d '\n')" >"$1/access_key_id"
    head -c 30 /dev/urandom | base64 | tr -d '\n' >"$1/secret_access_key"
    printf '{"access_key_id": "%s", "secret_access_key": "%s"}' "$(<"$1/access_key_id")" \
        "$(<"$1/secret_access_key")" >"$1/credentials.json"
    head -c 32 /dev/urandom | base64 | tr -d '\n' >"$1/fleet.key"
}

# there REGION SECRET: whether it is
there() {
    [ -n "$(in_region "$1" get secret "$2" --ignore-not-found --output name)" ]
}

# share MAKER TYPE NAME REGION...: the Secret NAME, in which `@` stands for the region, in all of these regions
share() {
    local maker=$1 type=$2 name=$3 folder=$made/${3//@/} region key
    local -a files=()
    shift 3
    mkdir "$folder"
    # A witness has no access key and no edge: it has nothing to say about those.
    if [ -n "$from" ] && ! there "$from" "${name/@/$from}"; then return; fi
    for region in ${from:-"$@"}; do
        if there "$region" "${name/@/$region}"; then
            # Every key: in the middle of a CA's replacement there are more than at first.
            # shellcheck disable=SC2016  # the variables are the template's
            for key in $(in_region "$region" get secret "${name/@/$region}" \
                --output go-template='{{range $key, $value := .data}}{{$key}} {{end}}'); do
                in_region "$region" get secret "${name/@/$region}" \
                    --output go-template="{{index .data \"$key\" | base64decode}}" >"$folder/$key"
            done
            break
        fi
    done
    [ -n "$(ls "$folder")" ] || "$maker" "$folder" "TauSQL ${name#tausql-@-}"
    for key in "$folder"/*; do files+=(--from-file "$(basename "$key")=$key"); done
    for region; do
        if ! there "$region" "${name/@/$region}"; then
            in_region "$region" create secret generic "${name/@/$region}" --type "$type" "${files[@]}"
        elif [ -n "$from" ] && [ "$region" != "$from" ]; then
            in_region "$region" create secret generic "${name/@/$region}" --type "$type" "${files[@]}" \
                --dry-run=client --output yaml | in_region "$region" replace --filename -
        fi
    done
}

for region in "${regions[@]}"; do
    if [ -z "$(in_region "$region" get namespace "tausql-$region" --ignore-not-found --output name)" ]; then
        in_region "$region" create namespace "tausql-$region"
    fi
done
share make_credentials Opaque tausql-credentials "${full[@]}"
share make_ca kubernetes.io/tls tausql-@-ca "${regions[@]}"
share make_ca kubernetes.io/tls tausql-@-edge-ca "${full[@]}"
