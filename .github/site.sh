#!/usr/bin/env bash
# Puts the public site together from artefacts of the book's builds: site.sh FOLDER. Asks GitHub through `gh` and writes nothing there.
#   /            the newest laptop book of main; while there is none, the same as latest/
#   /latest/     the newest smoke book of main
#   /record/     the newest book on the authors' record, of main
#   /pull/N/     the book of pull request N, if it is open and its branch is in this repository
set -euo pipefail
site=$1
artefacts="repos/$GITHUB_REPOSITORY/actions/artifacts"
here='select((.expired | not) and .workflow_run.head_repository_id == .workflow_run.repository_id)'

# newest NAME CONDITION: id of the newest artefact of that name whose run was made here and fulfils a condition, or nothing.
newest() {
  gh api "$artefacts?name=$1&per_page=100" --jq "[.artifacts[] | $here | select($2)] | max_by(.created_at) | .id // empty"
}

# unpack ID FOLDER
unpack() {
  mkdir -p "$2"
  gh api "$artefacts/$1/zip" > "$site.zip"
  unzip -q "$site.zip" -d "$2"
  rm "$site.zip"
}

rm -rf "$site"
mkdir -p "$site"
latest=$(newest html-smoke '.workflow_run.head_branch == "main"')
root=$(newest html-laptop '.workflow_run.head_branch == "main"')
root=${root:-$latest}
if [ -z "$root" ]; then
  echo "site.sh: no artefact html-laptop or html-smoke of main is left; run the workflow 'book' on main first" >&2
  exit 1
fi
unpack "$root" "$site"
if [ -n "$latest" ]; then unpack "$latest" "$site/latest"; fi
record=$(newest html-record '.workflow_run.head_branch == "main"')
if [ -n "$record" ]; then unpack "$record" "$site/record"; fi

gh pr list --repo "$GITHUB_REPOSITORY" --state open --limit 50 --json number,headRefOid,isCrossRepository \
  --jq '.[] | select(.isCrossRepository | not) | "\(.number) \(.headRefOid)"' > "$site.pulls"
while read -r number head; do
  id=$(newest html-smoke ".workflow_run.head_sha == \"$head\"")
  if [ -n "$id" ]; then unpack "$id" "$site/pull/$number"; fi
done < "$site.pulls"
rm "$site.pulls"
