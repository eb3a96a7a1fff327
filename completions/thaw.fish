# fish completion for thaw, made by "thaw completion fish".

# The command and its arguments on the line, without flags and their values.
function __thaw_words
    set -l command
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            switch "$command:"(string replace -r '^--?' '' -- $word)
                case 'restore:bundle' 'restore:b' 'restore:image-path' 'restore:work-path' 'restore:pid-file' 'restore:console-socket' 'restore:status-fd' 'restore:manage-cgroups-mode' 'restore:empty-ns' 'restore:lsm-profile' 'restore:lsm-mount-context' 'restore:preserve-fds' 'checkpoint:image-path' 'checkpoint:work-path' 'checkpoint:parent-path' 'checkpoint:status-fd' 'checkpoint:page-server' 'checkpoint:manage-cgroups-mode' 'checkpoint:empty-ns' 'list:format' 'list:f' 'ps:format' 'ps:f' 'events:interval' 'update:resources' 'update:r' 'update:blkio-weight' 'update:cpu-period' 'update:cpu-quota' 'update:cpu-burst' 'update:cpu-share' 'update:cpu-rt-period' 'update:cpu-rt-runtime' 'update:cpuset-cpus' 'update:cpuset-mems' 'update:memory' 'update:cpu-idle' 'update:memory-reservation' 'update:memory-swap' 'update:pids-limit' 'update:l3-cache-schema' 'update:mem-bw-schema' 'exec:process' 'exec:p' 'exec:cwd' 'exec:env' 'exec:e' 'exec:user' 'exec:u' 'exec:additional-gids' 'exec:g' 'exec:cap' 'exec:c' 'exec:process-label' 'exec:apparmor' 'exec:pid-file' 'exec:console-socket' 'exec:pidfd-socket' 'exec:preserve-fds' 'exec:cgroup' '*:log' '*:log-format' '*:root' '*:rootless' '*:criu'
                    set skip 1
            end
        else
            test -n "$command"; or set command $word
            echo $word
        end
    end
end

# Whether a command has been typed.
function __thaw_in
    set -l words (__thaw_words)
    test "$words[1]" = $argv[1]
end

# Whether just these words have been typed.
function __thaw_at
    test "$(__thaw_words | string collect)" = "$(string join \n -- $argv | string collect)"
end

# The containers there are.
function __thaw_containers
    set -l root /run/runc
    set -l words (commandline -opc)
    for i in (seq (count $words))
        switch $words[$i]
            case -root --root
                set -q words[(math $i + 1)]; and set root $words[(math $i + 1)]
            case '-root=*' '--root=*'
                set root (string replace -r '^--?root=' '' -- $words[$i])
        end
    end
    set -l paths $root/*/
    string replace -r '.*/([^/]+)/$' '$1' -- $paths
end

complete -c thaw -f
complete -c thaw -l debug -d 'enable debug logging'
complete -c thaw -l log -r -F -d 'write the log to FILE instead of standard error'
complete -c thaw -l log-format -x -a 'text json' -d 'format of the log: text or json'
complete -c thaw -l root -x -a '(__fish_complete_directories)' -d 'directory of the containers\' state; runc\'s, so that both see the same containers'
complete -c thaw -l systemd-cgroup -d 'have systemd make the cgroup, as a scope; linux.cgroupsPath is then slice:prefix:name'
complete -c thaw -l rootless -x -a 'true false auto' -d 'ignore cgroup permission errors: true, false or auto (read for compatibility)'
complete -c thaw -l criu -x -d 'the criu to use; a name without a slash is looked up on PATH (runc ignores this)'
complete -c thaw -l help -s h -d 'show help'
complete -c thaw -l version -s v -d 'print the version'
complete -c thaw -n __thaw_at -a restore -d 'restore a container from a checkpoint'
complete -c thaw -n '__thaw_in restore' -l bundle -s b -x -a '(__fish_complete_directories)' -d 'the bundle (config.json and, usually, the rootfs); default: the current directory'
complete -c thaw -n '__thaw_in restore' -l image-path -x -a '(__fish_complete_directories)' -d 'the checkpoint; default: ./checkpoint. Relative paths count from the bundle'
complete -c thaw -n '__thaw_in restore' -l work-path -x -a '(__fish_complete_directories)' -d 'where restore.log and stats-restore go; default: the image path'
complete -c thaw -n '__thaw_in restore' -l detach -s d -d 'return as soon as the container runs'
complete -c thaw -n '__thaw_in restore' -l pid-file -r -F -d 'write the pid of the container\'s init to FILE'
complete -c thaw -n '__thaw_in restore' -l console-socket -r -F -d 'where to send the master of the container\'s terminal: a listening AF_UNIX stream socket'
complete -c thaw -n '__thaw_in restore' -l tcp-established -d 'restore established TCP connections'
complete -c thaw -n '__thaw_in restore' -l tcp-close -d 'restore TCP sockets of connections closed'
complete -c thaw -n '__thaw_in restore' -l ext-unix-sk -d 'restore unix sockets connected to outside of the container'
complete -c thaw -n '__thaw_in restore' -l shell-job -d 'restore a process whose session leader is outside'
complete -c thaw -n '__thaw_in restore' -l lazy-pages -d 'let the container run before its memory is there: a criu lazy-pages daemon, started unless one listens in the work path, brings it'
complete -c thaw -n '__thaw_in restore' -l status-fd -x -d 'with --lazy-pages: write a NUL byte to this descriptor when the last page has arrived; closed without one: it never will'
complete -c thaw -n '__thaw_in restore' -l file-locks -d 'restore file locks'
complete -c thaw -n '__thaw_in restore' -l manage-cgroups-mode -x -a 'soft full strict ignore' -d 'how cgroups are restored: soft (CRIU\'s default), full, strict or ignore'
complete -c thaw -n '__thaw_in restore' -l auto-dedup -d 'free each page of the images once it is restored'
complete -c thaw -n '__thaw_in restore' -l empty-ns -x -a 'network' -d 'make a namespace without restoring what is in it; only network, which is always so'
complete -c thaw -n '__thaw_in restore' -l lsm-profile -x -d 'LSM profile for the container'
complete -c thaw -n '__thaw_in restore' -l lsm-mount-context -x -d 'LSM context for its mounts'
complete -c thaw -n '__thaw_in restore' -l no-subreaper -d 'do not become a subreaper for the container\'s orphans'
complete -c thaw -n '__thaw_in restore' -l preserve-fds -x -d 'expect N descriptors from 3 on to be open, as for runc create; the container keeps those of its checkpoint'
complete -c thaw -n '__thaw_in restore' -l no-pivot -d 'record that the container does not use pivot_root'
complete -c thaw -n '__thaw_in restore' -l no-new-keyring -d 'record that it has no session keyring of its own'

complete -c thaw -n __thaw_at -a checkpoint -d 'save the state of a running container'
complete -c thaw -n '__thaw_at checkpoint' -a '(__thaw_containers)'
complete -c thaw -n '__thaw_in checkpoint' -l image-path -x -a '(__fish_complete_directories)' -d 'where the checkpoint goes; made if need be; default: ./checkpoint'
complete -c thaw -n '__thaw_in checkpoint' -l work-path -x -a '(__fish_complete_directories)' -d 'where dump.log and stats-dump go; default: the image path'
complete -c thaw -n '__thaw_in checkpoint' -l parent-path -x -a '(__fish_complete_directories)' -d 'the images of an earlier --pre-dump, relative to the image path: only what has changed since is saved'
complete -c thaw -n '__thaw_in checkpoint' -l leave-running -d 'let the container go on afterwards'
complete -c thaw -n '__thaw_in checkpoint' -l tcp-established -d 'save established TCP connections'
complete -c thaw -n '__thaw_in checkpoint' -l tcp-skip-in-flight -d 'leave out TCP connections that are just being set up'
complete -c thaw -n '__thaw_in checkpoint' -l link-remap -d 'give open files that have no name any more one, so that they can be restored'
complete -c thaw -n '__thaw_in checkpoint' -l ext-unix-sk -d 'save unix sockets connected to outside of the container'
complete -c thaw -n '__thaw_in checkpoint' -l shell-job -d 'save a process whose session leader is outside'
complete -c thaw -n '__thaw_in checkpoint' -l lazy-pages -d 'leave memory where it is and serve it, on --page-server, to a restore with --lazy-pages elsewhere'
complete -c thaw -n '__thaw_in checkpoint' -l status-fd -x -d 'with --lazy-pages: write a NUL byte to this descriptor when memory is served'
complete -c thaw -n '__thaw_in checkpoint' -l page-server -x -d 'send memory to the criu page-server there; with --lazy-pages: serve it on that port, of every address'
complete -c thaw -n '__thaw_in checkpoint' -l file-locks -d 'save file locks'
complete -c thaw -n '__thaw_in checkpoint' -l pre-dump -d 'save memory alone, for a later --parent-path; the container goes on'
complete -c thaw -n '__thaw_in checkpoint' -l manage-cgroups-mode -x -a 'soft full strict ignore' -d 'how cgroups are saved: soft (CRIU\'s default), full, strict or ignore'
complete -c thaw -n '__thaw_in checkpoint' -l empty-ns -x -a 'network' -d 'save a namespace without what is in it; only network, which is always so'
complete -c thaw -n '__thaw_in checkpoint' -l auto-dedup -d 'with --parent-path: free the pages of the parent that have changed'
complete -c thaw -n '__thaw_in checkpoint' -l wait -d 'first wait until all memory has arrived, after a restore with --lazy-pages'

complete -c thaw -n __thaw_at -a state -d 'print the state of a container as JSON'
complete -c thaw -n '__thaw_at state' -a '(__thaw_containers)'

complete -c thaw -n __thaw_at -a list -d 'list the containers of the root directory'
complete -c thaw -n '__thaw_in list' -l format -s f -x -a 'table json' -d 'table or json'
complete -c thaw -n '__thaw_in list' -l quiet -s q -d 'print only the ids'

complete -c thaw -n __thaw_at -a ps -d 'list the processes of a container'
complete -c thaw -n '__thaw_at ps' -a '(__thaw_containers)'
complete -c thaw -n '__thaw_in ps' -l format -s f -x -a 'table json' -d 'table (by the host\'s ps) or json (an array of pids)'

complete -c thaw -n __thaw_at -a pause -d 'freeze the processes of a container'
complete -c thaw -n '__thaw_at pause' -a '(__thaw_containers)'

complete -c thaw -n __thaw_at -a resume -d 'let a paused container go on'
complete -c thaw -n '__thaw_at resume' -a '(__thaw_containers)'

complete -c thaw -n __thaw_at -a kill -d 'send a signal to a container\'s init (default: SIGTERM)'
complete -c thaw -n '__thaw_at kill' -a '(__thaw_containers)'
complete -c thaw -n '__thaw_in kill' -l all -s a -d 'succeed for a stopped container too (what it once meant, SIGKILL does by itself)'

complete -c thaw -n __thaw_at -a delete -d 'delete a container, or what a killed restore left of one'
complete -c thaw -n '__thaw_at delete' -a '(__thaw_containers)'
complete -c thaw -n '__thaw_in delete' -l force -s f -d 'kill the container if it runs; no error if there is none'

complete -c thaw -n __thaw_at -a events -d 'print what a container uses, and when it runs out of memory'
complete -c thaw -n '__thaw_at events' -a '(__thaw_containers)'
complete -c thaw -n '__thaw_in events' -l interval -x -d 'time between two reports: a number with ms, s, m or h, such as 500ms or 1m30s'
complete -c thaw -n '__thaw_in events' -l stats -d 'print one report and end'

complete -c thaw -n __thaw_at -a update -d 'change the limits of a container'
complete -c thaw -n '__thaw_at update' -a '(__thaw_containers)'
complete -c thaw -n '__thaw_in update' -l resources -s r -r -F -d 'read the limits from FILE, - for standard input: JSON as linux.resources in config.json; the flags for single limits are then ignored'
complete -c thaw -n '__thaw_in update' -l blkio-weight -x -d 'weight of block I/O, 10 to 1000'
complete -c thaw -n '__thaw_in update' -l cpu-period -x -d 'length of a period of CPU time'
complete -c thaw -n '__thaw_in update' -l cpu-quota -x -d 'CPU time in a period; -1: no limit'
complete -c thaw -n '__thaw_in update' -l cpu-burst -x -d 'CPU time saved up from earlier periods, at most'
complete -c thaw -n '__thaw_in update' -l cpu-share -x -d 'CPU shares, beside other containers: 2 to 262144'
complete -c thaw -n '__thaw_in update' -l cpu-rt-period -x -d 'length of a period of real-time CPU time (cgroup v1)'
complete -c thaw -n '__thaw_in update' -l cpu-rt-runtime -x -d 'real-time CPU time in a period (cgroup v1)'
complete -c thaw -n '__thaw_in update' -l cpuset-cpus -x -d 'CPUs to run on, such as 0,2-3'
complete -c thaw -n '__thaw_in update' -l cpuset-mems -x -d 'memory nodes to use, such as 0'
complete -c thaw -n '__thaw_in update' -l memory -x -d 'memory in bytes, or with k, m, g, t or p; -1: no limit'
complete -c thaw -n '__thaw_in update' -l cpu-idle -x -d '1: run only when nothing else wants the CPU'
complete -c thaw -n '__thaw_in update' -l memory-reservation -x -d 'memory that is kept when it becomes scarce'
complete -c thaw -n '__thaw_in update' -l memory-swap -x -d 'memory and swap together; -1: no limit'
complete -c thaw -n '__thaw_in update' -l pids-limit -x -d 'processes and threads, at most; -1: no limit'
complete -c thaw -n '__thaw_in update' -l l3-cache-schema -x -d 'Intel RDT: schema of the L3 cache (by runc)'
complete -c thaw -n '__thaw_in update' -l mem-bw-schema -x -d 'Intel RDT: schema of the memory bandwidth (by runc)'

complete -c thaw -n __thaw_at -a features -d 'print what thaw supports as JSON'

complete -c thaw -n __thaw_at -a exec -d 'execute a program in a container'
complete -c thaw -n '__thaw_at exec' -a '(__thaw_containers)'
complete -c thaw -n '__thaw_in exec' -l process -s p -r -F -d 'what to execute, as JSON: the process of a config.json; in place of the command and of all flags up to --tty'
complete -c thaw -n '__thaw_in exec' -l cwd -x -a '(__fish_complete_directories)' -d 'working directory in the container; default: that of config.json'
complete -c thaw -n '__thaw_in exec' -l env -s e -x -d 'set a variable of the environment, beside those of config.json'
complete -c thaw -n '__thaw_in exec' -l user -s u -x -d 'user, and group; default: those of config.json'
complete -c thaw -n '__thaw_in exec' -l additional-gids -s g -x -d 'a further group'
complete -c thaw -n '__thaw_in exec' -l cap -s c -x -d 'a further capability, such as CAP_NET_ADMIN'
complete -c thaw -n '__thaw_in exec' -l no-new-privs -d 'execute nothing with more privileges (set-user-ID programs); =false allows it'
complete -c thaw -n '__thaw_in exec' -l process-label -x -d 'SELinux label of the process'
complete -c thaw -n '__thaw_in exec' -l apparmor -x -d 'AppArmor profile'
complete -c thaw -n '__thaw_in exec' -l tty -s t -d 'give the process a terminal'
complete -c thaw -n '__thaw_in exec' -l detach -s d -d 'return as soon as the program runs'
complete -c thaw -n '__thaw_in exec' -l pid-file -r -F -d 'write the pid of the process to FILE'
complete -c thaw -n '__thaw_in exec' -l console-socket -r -F -d 'with --detach, where to send the master of the terminal: a listening AF_UNIX stream socket'
complete -c thaw -n '__thaw_in exec' -l pidfd-socket -r -F -d 'where to send a pidfd of the process: a listening AF_UNIX stream socket'
complete -c thaw -n '__thaw_in exec' -l preserve-fds -x -d 'hand N descriptors from 3 on to the process'
complete -c thaw -n '__thaw_in exec' -l cgroup -x -d 'a cgroup below the container\'s, which exists; on cgroup v1 for some controllers'
complete -c thaw -n '__thaw_in exec' -l ignore-paused -d 'do it in a paused container too; the process then waits for resume'

complete -c thaw -n __thaw_at -a completion -d 'print the completion script of a shell'
complete -c thaw -n '__thaw_at completion' -a 'bash zsh fish'

complete -c thaw -n __thaw_at -a help -d 'show help of a command'
complete -c thaw -n '__thaw_at help' -a 'restore checkpoint state list ps pause resume kill delete events update features exec completion'
