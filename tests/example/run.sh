#!/bin/sh
# Runs the embedding example twice on one directory and compares what it prints with what it should.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/expected" <<'END'
banana: gone, before: yellow
fruit:apple = red
fruit:cherry = red
fruit:cherry
fruit:apple
12: 144, 999: 998001, 1000: absent
in the copy, apple: red
END
for round in 1 2; do
  "$1" "$dir/db" > "$dir/printed"
  diff "$dir/expected" "$dir/printed"
  rm -rf "$dir/db-copy"
done
echo "embed example: as expected, twice"
