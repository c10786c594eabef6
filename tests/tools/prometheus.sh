#!/usr/bin/env bash
# Puts prometheus and promtool, which tests run, into the folder given: links to them where they are installed, else out
# of Debian's package. That is unpacked and not installed: no daemon starts, and nobody needs to be root.
set -euo pipefail
into=$(cd "${1:?usage: prometheus.sh FOLDER}" && pwd)
kept=$into/.prometheus
rm -rf "$kept"
mkdir "$kept"

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  ln -sf "$(command -v prometheus)" "$(command -v promtool)" "$into/"
  exit
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "the tests need prometheus and promtool on the PATH: https://prometheus.io/download/" >&2
  exit 1
fi
cd "$kept"
fetch=(apt-get --quiet --quiet --option APT::Sandbox::User="$(id -un)" download prometheus)
if ! "${fetch[@]}"; then
  [ "$(id -u)" = 0 ] || { echo "apt knows no package lists yet: run apt-get update as root" >&2; exit 1; }
  apt-get --quiet --quiet update
  "${fetch[@]}"
fi
dpkg-deb --extract prometheus_*.deb unpacked
mv unpacked/usr/bin/prometheus unpacked/usr/bin/promtool .
rm -rf unpacked prometheus_*.deb
ln -sf "$kept/prometheus" "$kept/promtool" "$into/"
