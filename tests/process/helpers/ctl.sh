# What `mongooseimctl` does in tests: as FAKE_CTL says.
echo "ctl $*"
case "$FAKE_CTL" in
    hang) exec sleep 1000 ;;
    *) eval "$FAKE_CTL" ;;
esac
