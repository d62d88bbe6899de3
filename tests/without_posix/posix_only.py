"""What Python has on Linux or macOS, and not on Windows (see the library's documentation)."""

MODULES = {
    *("_posixsubprocess", "crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty"),
    *("pwd", "readline", "resource", "spwd", "syslog", "termios", "tty"),
}
"""Modules that are not there."""

NAMES = {
    "os": """AF_UNIX F_LOCK O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NDELAY O_NOATIME
        O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_RSYNC O_SYNC O_TMPFILE chown chroot confstr ctermid
        eventfd fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid geteuid
        getgid getgroups getloadavg getpgid getpgrp getpriority getresgid getresuid getsid getuid
        getxattr initgroups killpg lchmod lchown listxattr lockf major makedev memfd_create minor
        mkfifo mknod nice openpty pathconf pipe2 posix_fadvise posix_fallocate posix_openpt
        posix_spawn posix_spawnp pread preadv pwrite pwritev readv register_at_fork removexattr
        sched_getaffinity sched_getparam sched_getscheduler sched_setaffinity sched_yield sendfile
        setegid seteuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid
        setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname unshare
        wait wait3 wait4 waitid writev""",
    "signal": """SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGHUP SIGIO SIGIOT SIGKILL SIGPIPE SIGPOLL
        SIGPROF SIGPWR SIGQUIT SIGRTMAX SIGRTMIN SIGSTKFLT SIGSTOP SIGSYS SIGTRAP SIGTSTP SIGTTIN
        SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIG_BLOCK SIG_SETMASK
        SIG_UNBLOCK alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt
        sigpending sigtimedwait sigwait sigwaitinfo""",
    "socket": "AF_UNIX SO_REUSEPORT recv_fds send_fds",
    "time": """CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_MONOTONIC_RAW CLOCK_PROCESS_CPUTIME_ID
        CLOCK_REALTIME CLOCK_TAI CLOCK_THREAD_CPUTIME_ID clock_getres clock_gettime clock_gettime_ns
        clock_settime clock_settime_ns pthread_getcpuclockid tzset""",
    "select": "epoll poll",
}
"""Names that modules lack on Windows."""
