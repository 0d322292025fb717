# Login shells of a lab node.
if [ -n "$BASH_VERSION" ] && [ -r ~/.bashrc ]; then
    . ~/.bashrc
fi
