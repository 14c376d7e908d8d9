folder=$RUNNER_TEMP/rollout-status/bin
[[ ! -x $folder/rollout-status ]] || exit 0
case "$RUNNER_OS/$RUNNER_ARCH" in
# FOR EACH ARCHIVE
@RUNNER@) archive=@ARCHIVE@ sum=@SHA256@ ;;
# END
*) echo "there is no archive of rollout-status for $RUNNER_OS/$RUNNER_ARCH: use integrations/github, which builds it" >&2; exit 1 ;;
esac
mkdir -p "$folder"
curl --fail --silent --show-error --location --retry 3 --output "$folder/$archive" "${MIRROR:-https://github.com/@REPOSITORY@/releases/download}/v@VERSION@/$archive"
"$PYTHON" - "$folder/$archive" "$sum" <<'END_OF_THE_PROGRAM'
import hashlib, sys
found = hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()
sys.exit(found != sys.argv[2] and f"{sys.argv[1]} has the checksum {found}, not {sys.argv[2]}")
END_OF_THE_PROGRAM
tar -xzf "$folder/$archive" -C "$folder" rollout-status
ln -s "$(command -v "$PYTHON")" "$folder/python"
