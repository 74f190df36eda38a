/* Compiled agents that go wrong in every way, for the tests of the process around them. The structs are
   those of the interface as far as they are used here (spec local.md 7). */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ext { char unknown[192]; };
struct result { int64_t time[2]; int32_t numpmid; int32_t pad; void *vset[4]; };
struct set { uint32_t pmid; int32_t numval; int32_t valfmt; int32_t pad; struct { int32_t inst; int32_t pad; int64_t value; } value[1]; };
struct desc { uint32_t pmid; int32_t type; uint32_t indom; int32_t sem; uint32_t units; };

struct agent {
  int32_t domain; uint8_t version, api; uint16_t flags; int32_t status; int32_t pad; struct ext *ext;
  int (*profile)(void *, struct ext *);
  int (*fetch)(int, uint32_t *, struct result **, struct ext *);
  int (*desc)(uint32_t, struct desc *, struct ext *);
  int (*instance)(uint32_t, int, char *, void **, struct ext *);
  int (*text)(int, int, char **, struct ext *);
  int (*store)(void *, struct ext *);
};

static struct ext ext;
static struct result answer;

static int profile(void *p, struct ext *e) { return 0; }
static int describe(uint32_t pmid, struct desc *d, struct ext *e) {
  struct desc found = { pmid, 0, 0xffffffff, 3, 0 };
  if ((pmid & 0x3ff) > 20) return -12358;
  *d = found;
  return 0;
}
static int instance(uint32_t indom, int id, char *name, void **r, struct ext *e) { return -12359; }
static int text(int id, int type, char **buffer, struct ext *e) { return -12349; }
static int store(void *r, struct ext *e) { return -12387; }

static struct set *number(uint32_t pmid, int64_t value) {
  struct set *s = calloc(1, sizeof *s);
  s->pmid = pmid;
  s->numval = 1;
  s->value[0].inst = -1;
  s->value[0].value = value;
  return s;
}

/* Item 0 is good, the others are what their case says. */
static int fetch(int n, uint32_t *pmids, struct result **r, struct ext *e) {
  struct set *s;
  memset(&answer, 0, sizeof answer);
  answer.numpmid = n;
  for (int i = 0; i < n && i < 4; i++) {
    s = number(pmids[i], 42);
    answer.vset[i] = s;
    switch (pmids[i] & 0x3ff) {
    case 1: *(volatile int *)8 = 1; break;
    case 2: abort();
    case 3: exit(3);
    case 4: for (;;) pause();
    case 5: answer.numpmid = n + 1; answer.vset[n] = number(1, 1); break;
    case 6: s->valfmt = 7; break;
    case 7: printf("not a PDU, but what the agent prints\n"); fflush(stdout); break;
    case 8: answer.vset[i] = 0; break;
    case 9: return -12389;
    case 10: s->numval = -12350; break;
    case 11: kill(getpid(), SIGSTOP); break;
    case 12: answer.time[0] = 0x18; break;
    }
  }
  *r = &answer;
  return 0;
}

static void fill(struct agent *a, int version, int api) {
  a->version = version;
  a->api = api;
  a->ext = &ext;
  a->profile = profile;
  a->fetch = fetch;
  a->desc = describe;
  a->instance = instance;
  a->text = text;
  a->store = store;
}

void good_init(struct agent *a) { fill(a, 2, 2); }
void st_init(struct agent *a) { fill(a, 2, 2); a->status = -12387; }
void nop_init(struct agent *a) { }
void if9_init(struct agent *a) { fill(a, 9, 2); }
void api5_init(struct agent *a) { fill(a, 2, 5); }
void crash_init(struct agent *a) { *(volatile int *)8 = 1; }
void exit_init(struct agent *a) { exit(4); }
