/*
 * The C side of the archive figures of `make bench`: libpcp doing what archive-ours.ts does, told by the
 * same arguments. The library is opened at run time and its few functions are declared here, so that
 * no development package is needed. One JSON object on stdout.
 *
 *   archive walk BASE SECONDS forward|backward   records fetched with pmFetchArchive, over and over
 *   archive seek BASE SECONDS FROM TO            pmSetMode to times between FROM and TO, one record each
 *   archive fetch BASE SECONDS MODE COUNT        pmFetch of the first COUNT metrics, over and over; MODE is
 *                                                forward, interp+ or interp-: 0.7 s further, or back
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

enum { TYPE_ARCHIVE = 2, MODE_INTERP = 1, MODE_FORWARD = 2, MODE_BACKWARD = 3, BETWEEN_CLOCKS = 64 };
enum { MOST_METRICS = 1000, STEP_NS = 700000000 };

static int (*new_context)(int, const char *);
static int (*set_mode)(int, const struct timeval *, int);
static int (*fetch)(void **);
static void (*free_result)(void *);
/* Only for `fetch`; pmSetModeHighRes came with PCP 6, later ones call it pmSetMode. */
static int (*set_mode_exactly)(int, const struct timespec *, const struct timespec *);
static int (*fetch_some)(int, uint32_t *, void **);
static void (*free_some)(void *);
static int (*archive_end)(struct timespec *);
static int (*traverse)(const char *, void (*)(const char *));
static int (*lookup_name)(int, const char **, uint32_t *);

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

static uint32_t pmids[MOST_METRICS];
static int known;

static void remember(const char *name) {
  if (strncmp(name, "bench.", 6) == 0 && known < MOST_METRICS && lookup_name(1, &name, &pmids[known]) == 1)
    known++;
}
static void fetches(double seconds, const char *how, int count) {
  int mode = strcmp(how, "forward") == 0 ? MODE_FORWARD : MODE_INTERP;
  int back = strcmp(how, "interp-") == 0;
  struct timespec when = {0, 0}, delta = {0, back ? -STEP_NS : STEP_NS};
  if (traverse("", remember) < 0 || known < count) fail("too few metrics");
  if (back) archive_end(&when);
  else when.tv_sec = 1700000000;
  if (set_mode_exactly(mode, &when, &delta) < 0) fail("pmSetMode failed");
  uint64_t done = 0;
  double from = now(), spent;
  do {
    for (int i = 0; i < BETWEEN_CLOCKS; i++) {
      void *result;
      if (fetch_some(count, pmids, &result) < 0) {
        set_mode_exactly(mode, &when, &delta);
        continue;
      }
      free_some(result);
      done++;
    }
    spent = now() - from;
  } while (spent < seconds);
  printf("{\"rate\": %f}\n", done / spent);
}

int main(int argc, char **argv) {
  if (argc < 3) fail("usage: archive walk|seek|fetch|open|pass BASE ...");
  void *library = dlopen("libpcp.so.3", RTLD_NOW);
  if (library == NULL) fail(dlerror());
  new_context = need(library, "pmNewContext");
  set_mode = need(library, "pmSetMode");
  fetch = need(library, "pmFetchArchive");
  free_result = need(library, "pmFreeResult");
  set_mode_exactly = need(library, "pmSetModeHighRes");
  fetch_some = need(library, "pmFetchHighRes");
  free_some = need(library, "pmFreeHighResResult");
  archive_end = need(library, "pmGetHighResArchiveEnd");
  traverse = need(library, "pmTraversePMNS");
  lookup_name = need(library, "pmLookupName");
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
  } else if (strcmp(what, "fetch") == 0 && argc == 6) {
    fetches(atof(argv[3]), argv[4], atoi(argv[5]));
  } else if (strcmp(what, "seek") == 0 && argc == 6) {
    seek(atof(argv[3]), atoi(argv[4]), atoi(argv[5]));
  } else fail("unknown arguments");
  return 0;
}
