# bash completion for thaw, made by "thaw completion bash".

# words: what is typed up to the cursor. bash splits at "=" and ":" too; this undoes it.
# last: the part of the last word that bash will put the completion in place of.
_thaw_split() {
  local line=${COMP_LINE:0:COMP_POINT} i glued
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    glued=
    ((i == 0)) || [[ $line == [[:space:]]* ]] || glued=1
    line=${line#"${line%%[![:space:]]*}"}
    last=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || last=$line
    line=${line#"$last"}
    if [[ $glued ]]; then words[${#words[@]} - 1]+=$last; else words+=("$last"); fi
  done
}

# Offers those of its arguments that begin with what is typed.
_thaw_offer() {
  local word
  for word; do [[ $word != "$typed"* ]] || COMPREPLY+=("$prefix$word"); done
}

# Offers the containers there are.
_thaw_containers() {
  local path
  for path in "$root"/*/; do
    path=${path%/}
    [[ ! -d $path ]] || _thaw_offer "${path##*/}"
  done
}

# kind: what follows a flag of a command.
_thaw_flag() {
  kind=none values=()
  case "$1:$2" in
    restore:bundle | restore:b | restore:image-path | restore:work-path) kind=directory ;;
    restore:pid-file | restore:console-socket) kind=file ;;
    restore:status-fd | restore:lsm-profile | restore:lsm-mount-context | restore:preserve-fds) kind=anything ;;
    restore:manage-cgroups-mode) kind=word values=(soft full strict ignore) ;;
    restore:empty-ns) kind=word values=(network) ;;
    checkpoint:image-path | checkpoint:work-path | checkpoint:parent-path) kind=directory ;;
    checkpoint:status-fd | checkpoint:page-server) kind=anything ;;
    checkpoint:manage-cgroups-mode) kind=word values=(soft full strict ignore) ;;
    checkpoint:empty-ns) kind=word values=(network) ;;
    list:format | list:f) kind=word values=(table json) ;;
    ps:format | ps:f) kind=word values=(table json) ;;
    events:interval) kind=anything ;;
    update:resources | update:r) kind=file ;;
    update:blkio-weight | update:cpu-period | update:cpu-quota | update:cpu-burst | update:cpu-share | update:cpu-rt-period | update:cpu-rt-runtime | update:cpuset-cpus | update:cpuset-mems | update:memory | update:cpu-idle | update:memory-reservation | update:memory-swap | update:pids-limit | update:l3-cache-schema | update:mem-bw-schema) kind=anything ;;
    exec:process | exec:p | exec:pid-file | exec:console-socket | exec:pidfd-socket) kind=file ;;
    exec:cwd) kind=directory ;;
    exec:env | exec:e | exec:user | exec:u | exec:additional-gids | exec:g | exec:cap | exec:c | exec:process-label | exec:apparmor | exec:preserve-fds | exec:cgroup) kind=anything ;;
    *:log) kind=file ;;
    *:log-format) kind=word values=(text json) ;;
    *:root) kind=directory ;;
    *:rootless) kind=word values=(true false auto) ;;
    *:criu) kind=anything ;;
  esac
}

_thaw_flags() {
  case "$1" in
    restore) _thaw_offer --bundle --image-path --work-path --detach --pid-file --console-socket --tcp-established --tcp-close --ext-unix-sk --shell-job --lazy-pages --status-fd --file-locks --manage-cgroups-mode --auto-dedup --empty-ns --lsm-profile --lsm-mount-context --no-subreaper --preserve-fds --no-pivot --no-new-keyring ;;
    checkpoint) _thaw_offer --image-path --work-path --parent-path --leave-running --tcp-established --tcp-skip-in-flight --link-remap --ext-unix-sk --shell-job --lazy-pages --status-fd --page-server --file-locks --pre-dump --manage-cgroups-mode --empty-ns --auto-dedup --wait ;;
    list) _thaw_offer --format --quiet ;;
    ps) _thaw_offer --format ;;
    kill) _thaw_offer --all ;;
    delete) _thaw_offer --force ;;
    events) _thaw_offer --interval --stats ;;
    update) _thaw_offer --resources --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpuset-cpus --cpuset-mems --memory --cpu-idle --memory-reservation --memory-swap --pids-limit --l3-cache-schema --mem-bw-schema ;;
    exec) _thaw_offer --process --cwd --env --user --additional-gids --cap --no-new-privs --process-label --apparmor --tty --detach --pid-file --console-socket --pidfd-socket --preserve-fds --cgroup --ignore-paused ;;
  esac
  _thaw_offer --debug --log --log-format --root --systemd-cgroup --rootless --criu --help --version
}

_thaw_argument() {
  case "$1" in
    checkpoint) _thaw_containers ;;
    state) _thaw_containers ;;
    ps) _thaw_containers ;;
    pause) _thaw_containers ;;
    resume) _thaw_containers ;;
    kill) _thaw_containers ;;
    delete) _thaw_containers ;;
    events) _thaw_containers ;;
    update) _thaw_containers ;;
    exec) _thaw_containers ;;
    completion) _thaw_offer bash zsh fish ;;
    help) _thaw_offer restore checkpoint state list ps pause resume kill delete events update features exec completion ;;
  esac
}

# Offers the value of a flag; bash itself completes paths.
_thaw_value() {
  case $kind in
    directory) compopt -o dirnames ;;
    file) compopt -o default ;;
    word) _thaw_offer "${values[@]}" ;;
  esac
}

_thaw() {
  local words last command= root=/run/runc ended= given=0 pending= i word flag kind values
  local typed prefix=
  COMPREPLY=()
  _thaw_split
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    word=${words[i]}
    if [[ $ended || $word != -?* ]]; then
      if [[ $command ]]; then ((given += 1)); else command=$word ended=; fi
    elif [[ $word == -- ]]; then
      ended=1
    else
      flag=${word#-} flag=${flag#-}
      _thaw_flag "$command" "${flag%%=*}"
      [[ $kind != none ]] || continue
      if [[ $flag != *=* ]]; then
        ((i += 1))
        ((i < ${#words[@]} - 1)) || { pending=1; break; }
        flag+="=${words[i]}"
      fi
      [[ $flag != root=* ]] || root=${flag#*=}
    fi
  done
  word=${words[${#words[@]} - 1]} typed=$word
  if [[ $pending ]]; then
    _thaw_value
  elif [[ ! $ended && $word == -*=* ]]; then
    typed=${word#*=} prefix=${word%%=*}=
    flag=${prefix#-} flag=${flag#-}
    _thaw_flag "$command" "${flag%=}"
    _thaw_value
  elif [[ ! $ended && $word == -* ]]; then
    _thaw_flags "$command"
  elif [[ ! $command ]]; then
    _thaw_offer restore checkpoint state list ps pause resume kill delete events update features exec completion help
  elif ((given == 0)); then
    _thaw_argument "$command"
  fi
  # Of `--flag=value` bash keeps what stands before `last`.
  [[ $last == [=:] ]] || word=${word%"$last"}
  COMPREPLY=("${COMPREPLY[@]#"$word"}")
}

complete -F _thaw thaw
