#!/usr/bin/env bash
# Code in the documentation is code that is compiled and tested: each block that follows a line
# `<!-- from FILE -->` must stand in FILE word for word. Local links must lead somewhere, and README
# stays below 150 lines. Run from the top of the source tree.
set -u
status=0
blocks=0
for page in README.md docs/*.md; do
  file=""
  inside=0
  block=""
  while IFS= read -r line || [ -n "$line" ]; do
    if [[ $line =~ ^\<!--\ from\ ([^\ ]+)\ --\>$ ]]; then
      file=${BASH_REMATCH[1]}
    elif [ -n "$file" ] && [ $inside = 0 ] && [[ $line == '```'* ]]; then
      inside=1 block=""
    elif [ $inside = 1 ] && [[ $line == '```' ]]; then
      blocks=$((blocks + 1))
      content=$(cat "$file" 2>/dev/null)
      if [[ $content != *"${block%$'\n'}"* ]]; then
        echo "$page: a block is not what stands in $file:"
        printf '%s' "$block"
        status=1
      fi
      inside=0 file=""
    elif [ $inside = 1 ]; then
      block+="$line"$'\n'
    fi
  done <"$page"
  while IFS= read -r link; do
    target=${link%%#*}
    [ -z "$target" ] && continue
    if [ ! -e "$(dirname "$page")/$target" ]; then
      echo "$page: link to $target leads nowhere"
      status=1
    fi
  done < <(awk '/^```/ {code = !code; next} !code' "$page" | grep -oE '\]\([^)]+\)' | sed 's/^](//; s/)$//' | grep -vE '^https?:')
done
[ "$(wc -l <README.md)" -lt 150 ] || { echo "README.md has 150 lines or more"; status=1; }
[ $blocks -ge 3 ] || { echo "only $blocks blocks were checked"; status=1; }
exit $status
