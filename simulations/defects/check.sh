#!/usr/bin/env bash
# Plants each defect in a copy of the tree and expects the simulation to find it. The copy without a defect comes first
# and has to pass: an oracle that always complains finds nothing.
#
# Each patch begins with what it breaks and the seeds within which that is found.
# Copy and builds are in $EARNEST_DEFECTS_TARGET, outside the tree; what was built there is used again.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
export CARGO_TARGET_DIR=${EARNEST_DEFECTS_TARGET:-${TMPDIR:-/tmp}/earnest-defects}
export CARGO_TERM_COLOR=never CARGO_PROFILE_DEV_DEBUG=0
copy=$CARGO_TARGET_DIR/source
rm -rf "$copy"
mkdir -p "$copy"

# Also files that are new and not ignored, so that it can be run before a commit. Everything is dated now: what an
# earlier run built last had a defect in it.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
done | tar --null --files-from=- -cf - | tar -xmf - -C "$copy"
cd "$copy"

build() { cargo build --quiet --locked -p simulations --bin earnest-simulate; }
simulate() { "$CARGO_TARGET_DIR/debug/earnest-simulate" --seeds "$1"; }

echo "== no defect"
build
simulate 0..50

# A defect is played while the next one is built: the two cores are for both.
found=$CARGO_TARGET_DIR/found
rm -rf "$found"
mkdir -p "$found"
failed=0
playing=
playing_name=
playing_seeds=

# Waits for the defect that is being played, if one is, and says what came of it.
verdict() {
    [ -n "$playing" ] || return 0
    echo "== $playing_name"
    if wait "$playing"; then
        echo "   NOT FOUND within seeds $playing_seeds"
        failed=1
    else
        tail -n 3 "$found/said" | sed 's/^/   /'
    fi
    playing=
}

for patch in "$root"/simulations/defects/*.patch; do
    patch --quiet --strip=1 --no-backup-if-mismatch <"$patch"
    # Apart from the run: what does not compile is not found.
    build
    patch --quiet --strip=1 --reverse --no-backup-if-mismatch <"$patch"
    verdict
    cp "$CARGO_TARGET_DIR/debug/earnest-simulate" "$found/simulate"
    playing_name="$(basename "$patch" .patch): $(head -n 1 "$patch")"
    playing_seeds=$(sed -n 's/^Seeds: //p' "$patch")
    "$found/simulate" --seeds "$playing_seeds" >"$found/said" 2>&1 &
    playing=$!
done
verdict
exit "$failed"
