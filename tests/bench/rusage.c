/* Runs a program and prints what it took as JSON: rusage FILE PROGRAM ARGS... Its output goes to FILE. A small
 * parent, because Linux counts the memory of who starts a program into that program's peak. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

int main(int argc, char **argv) {
  struct timespec start, end;
  struct rusage used;
  int status;
  if (argc < 3) return 2;
  clock_gettime(CLOCK_MONOTONIC, &start);
  pid_t pid = fork();
  if (pid == 0) {
    int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(out, 1);
    dup2(out, 2);
    execv(argv[2], argv + 2);
    _exit(127);
  }
  if (pid < 0 || wait4(pid, &status, 0, &used) < 0) return 1;
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("{\"status\":%d,\"wall\":%.6f,\"cpu\":%.6f,\"peak\":%.3f}\n",
         WIFEXITED(status) ? WEXITSTATUS(status) : 128,
         end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9,
         seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss / 1e3);
  return 0;
}
