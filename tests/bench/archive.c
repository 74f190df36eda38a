/*
 * The C side of the archive figures of `make bench`: libpcp doing what archive-ours.ts does, told by the
 * same arguments. The library is opened at run time and its few functions are declared here, so that
 * no development package is needed. One JSON object on stdout.
 *
 *   archive walk BASE SECONDS forward|backward   records fetched with pmFetchArchive, over and over
 *   archive seek BASE SECONDS FROM TO            pmSetMode to times between FROM and TO, one record each
 *   archive open BASE                            pmNewContext once
 *   archive pass BASE                            pmNewContext and all records once
 *   archive there -                              fails where there is no libpcp
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { TYPE_ARCHIVE = 2, MODE_FORWARD = 2, MODE_BACKWARD = 3, BETWEEN_CLOCKS = 64 };

static int (*new_context)(int, const char *);
static int (*set_mode)(int, const struct timeval *, int);
static int (*fetch)(void **);
static void (*free_result)(void *);

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}
static void *need(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) fail(dlerror());
  return found;
}
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}
static void open_context(const char *base) {
  if (new_context(TYPE_ARCHIVE, base) < 0) fail("pmNewContext failed");
}
/* Puts the position before the first or after the last record. */
static void rewind_to(int mode) {
  struct timeval when = {mode == MODE_FORWARD ? 0 : 0x7fffffff, 0};
  if (set_mode(mode, &when, 0) < 0) fail("pmSetMode failed");
}
static int one(void) {
  void *result;
  if (fetch(&result) < 0) return 0;
  free_result(result);
  return 1;
}

static void walk(int mode, double seconds) {
  uint64_t records = 0;
  double from = now(), spent;
  rewind_to(mode);
  do {
    for (int i = 0; i < BETWEEN_CLOCKS; i++) {
      if (one()) records++;
      else rewind_to(mode);
    }
    spent = now() - from;
  } while (spent < seconds);
  printf("{\"rate\": %f}\n", records / spent);
}

static void seek(double seconds, int from_time, int to_time) {
  uint64_t seeks = 0;
  uint32_t random = 1;
  double from = now(), spent;
  do {
    for (int i = 0; i < BETWEEN_CLOCKS; i++, seeks++) {
      random = random * 1103515245u + 12345u;
      struct timeval when = {from_time + (random >> 8) % (uint32_t)(to_time - from_time), 0};
      if (set_mode(MODE_FORWARD, &when, 0) < 0 || !one()) fail("no record after a seek");
    }
    spent = now() - from;
  } while (spent < seconds);
  printf("{\"rate\": %f}\n", seeks / spent);
}

int main(int argc, char **argv) {
  if (argc < 3) fail("usage: archive walk|seek|open|pass BASE ...");
  void *library = dlopen("libpcp.so.3", RTLD_NOW);
  if (library == NULL) fail(dlerror());
  new_context = need(library, "pmNewContext");
  set_mode = need(library, "pmSetMode");
  fetch = need(library, "pmFetchArchive");
  free_result = need(library, "pmFreeResult");
  const char *what = argv[1], *base = argv[2];
  if (strcmp(what, "there") == 0) {
    printf("{}\n");
    return 0;
  }
  double from = now();
  open_context(base);
  if (strcmp(what, "open") == 0) {
    printf("{\"ms\": %f}\n", (now() - from) * 1000);
  } else if (strcmp(what, "pass") == 0) {
    uint64_t records = 0;
    while (one()) records++;
    printf("{\"seconds\": %f, \"records\": %llu}\n", now() - from, (unsigned long long)records);
  } else if (strcmp(what, "walk") == 0 && argc == 5) {
    walk(strcmp(argv[4], "forward") == 0 ? MODE_FORWARD : MODE_BACKWARD, atof(argv[3]));
  } else if (strcmp(what, "seek") == 0 && argc == 6) {
    seek(atof(argv[3]), atoi(argv[4]), atoi(argv[5]));
  } else fail("unknown arguments");
  return 0;
}
