# Interactive shells of a lab node.
case $- in
    *i*) ;;
    *) return ;;
esac

HISTCONTROL=ignoreboth
HISTSIZE=2000
HISTFILESIZE=4000
shopt -s histappend checkwinsize

PS1='\[\e[32m\]\u@\h\[\e[0m\]:\[\e[34m\]\w\[\e[0m\]\$ '

alias ls='ls --color=auto'
alias ll='ls -lh'
alias grep='grep --color=auto'

# Completion takes longer to read than all else of a shell's start, so the first Tab reads it and is tried again.
_complete_later() {
    complete -r -D
    . /usr/share/bash-completion/bash_completion
    return 124
}
complete -D -F _complete_later -o bashdefault -o default
