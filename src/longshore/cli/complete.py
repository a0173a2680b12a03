"""longshore complete: what a shell needs to complete this command's words."""

from __future__ import annotations

import os
from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path

from longshore.cli.command import Command
from longshore.cli.known_names import KINDS, refresh

# Each asks `longshore complete` again at every TAB (completion.py), as it was typed: what is installed there answers.
_BASH = r"""_longshore() {
  local word
  COMPREPLY=()
  while IFS= read -r word; do
    COMPREPLY+=("$word")
  done < <("$1" complete --shell bash --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  case "${COMPREPLY[0]-}" in
    :files|:directories)
      local what=-f
      [ "${COMPREPLY[0]}" = :files ] || what=-d
      COMPREPLY=()
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do
        COMPREPLY+=("$word")
      done < <(compgen "$what" -- "$2") ;;
  esac
}
complete -o nosort -F _longshore longshore 2>/dev/null || complete -F _longshore longshore
"""
_ZSH = r"""#compdef longshore
_longshore() {
  local line
  local -a found values shown
  found=("${(@f)$("${words[1]}" complete --shell zsh -- "${(@)words[1,CURRENT]}" 2>/dev/null)}")
  case "${found[1]%%$'\t'*}" in
    '') return 1 ;;
    :files) _files; return ;;
    :directories) _files -/; return ;;
  esac
  for line in "${found[@]}"; do
    values+=("${line%%$'\t'*}")
    shown+=("${line%%$'\t'*}${${line#*$'\t'}:+  (${line#*$'\t'})}")
  done
  compadd -V longshore -l -d shown -a values
}
if [ "${funcstack[1]-}" = _longshore ]; then
  _longshore "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
  compdef _longshore longshore
fi
"""
_FISH = r"""function __longshore_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] complete --shell fish -- $words 2>/dev/null)
    switch "$found[1]"
        case ':files*'
            __fish_complete_path (commandline -ct)
        case ':directories*'
            __fish_complete_directories (commandline -ct)
        case '*'
            test -n "$found[1]"; and printf '%s\n' $found
    end
end
complete -c longshore -f -k -a '(__longshore_complete)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


class Complete(Command):
    """Print what makes a shell complete this command's words, with names of providers, plans and migrations.

    bash: `source <(longshore complete)` in ~/.bashrc. zsh: `source <(longshore complete)` in ~/.zshrc. fish:
    `longshore complete | source` in ~/.config/fish/config.fish.
    """

    examples = ("longshore complete --shell bash > /etc/bash_completion.d/longshore",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--shell", choices=sorted(_SCRIPTS), help="for this one (default: as $SHELL says)")
        parser.add_argument("--refresh", choices=KINDS, help=SUPPRESS)  # known_names.py runs this by itself

    def take_action(self, args: Namespace) -> None:
        if args.refresh:
            options = {f"--{name}": getattr(self.app.options, name) for name in ("state", "server", "config")}
            refresh(args.refresh, {name: value for name, value in options.items() if value}, self.client)
            return
        own = Path(os.environ.get("SHELL", "")).name
        self.app.stdout.write(_SCRIPTS[args.shell or (own if own in _SCRIPTS else "bash")])
