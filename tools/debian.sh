# Debian's packages without installing them; sourced by the setup scripts, which define `say` and
# `cache`. By the mirror that this machine's own apt uses and checked with the archive's own keys,
# in a private apt state: the machine's packages and sources stay as they are.
# shellcheck shell=bash

debian_keyring() { # prints the archive's keys, or nothing where this is no Debian
    compgen -G '/usr/share/keyrings/debian-archive-keyring.*' | head -n 1
}

debian_mirror() { # prints the address of Debian's own archive among apt's sources, or nothing
    local lists
    for lists in /var/lib/apt/lists "$cache/mirror-apt/lists"; do # the first may have been emptied
        [ "$lists" = /var/lib/apt/lists ] || { mkdir -p "$lists/partial" &&
            apt-get -q -o Dir::State::Lists="$lists" -o APT::Sandbox::User="$(id -un)" update \
                >"$cache/mirror.log" 2>&1; } || continue
        apt-get indextargets -o Dir::State::Lists="$lists" \
            --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
            sed -n 's#^Debian/Debian ##p' | head -n 1 | grep . && return
    done
}

# name suite[/architecture] package...: below .cache/tools/NAME; fails where it cannot be had
unpack_packages() {
    local name=$1 suite=${2%/*} private=$cache/$1-apt root=$cache/tools/$1 log=$cache/$1.log
    local keyring mirror package architecture
    architecture=$(case $2 in */*) echo "${2#*/}" ;; *) dpkg --print-architecture ;; esac)
    shift 2
    [ ! -e "$root/complete" ] || return 0
    keyring=$(debian_keyring || true)
    mirror=$(debian_mirror || true)
    if [ -z "$keyring" ] || [ -z "$mirror" ]; then
        say "not Debian, so $* cannot be had"
        return 1
    fi
    say "fetching $* of Debian's suite $suite"
    rm -rf "$private" "$root"
    mkdir -p "$private/lists/partial" "$private/archives/partial" "$private/debs" "$root"
    echo "deb [arch=$architecture signed-by=$keyring] $mirror $suite main" >"$private/sources.list"
    if ! (cd "$private/debs" && private_apt "$private" "$architecture" update &&
        private_apt "$private" "$architecture" download "$@") >"$log" 2>&1; then
        say "could not fetch $* (see .cache/$(basename "$log"))"
        return 1
    fi
    for package in "$private"/debs/*.deb; do dpkg -x "$package" "$root" || return 1; done
    rm -rf "$private"
    touch "$root/complete"
}

private_apt() { # folder architecture argument...
    local folder=$1 architecture=$2
    shift 2
    apt-get -q -o Dir::Etc::SourceList="$folder/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$folder/lists" \
        -o Dir::Cache="$folder" -o Dir::State::Status=/dev/null \
        -o APT::Architecture="$architecture" -o APT::Architectures::="$architecture" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}
