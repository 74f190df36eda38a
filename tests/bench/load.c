/*
 * Load driver and stand-in pmcd for `make bench`: what a relay is measured with has to be faster than
 * the relay, so this one piece is C with epoll. Plain figures on stdout, one JSON object a run.
 *
 *   load serve PORT                           stand-in pmcd on 127.0.0.1 (challenge, CREDS, FETCH -> RESULT)
 *   load rt PORT PMCDPORT CLIENTS METRICS S   fetch round trips for S seconds over CLIENTS connections
 *   load bulk PORT PMCDPORT CLIENTS BYTES S   the same with answers of BYTES
 *   load fetch PORT CLIENTS S FILE            fetches of the metric identifiers in FILE (decimal), from a pmcd
 *   load connect PORT PMCDPORT CLIENTS S      connections opened, greeted and closed again
 *   load hold PORT PMCDPORT CLIENTS           opens CLIENTS relayed connections, prints "ready", waits for stdin
 *   load http PORT PATH CLIENTS S [MAKER]     GET requests on kept-alive connections; `{context}` in PATH is the
 *                                             context that a GET of MAKER makes, one for each connection
 *
 * PMCDPORT 0 means: PORT is the pmcd itself, no proxy greeting.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNS_MAX = 65536, BUFFER = 1 << 18 };

struct conn {
  int fd;
  int state;           /* client: 0 greeting, 1 challenge, 2 answering; server: 0 */
  uint64_t sent_at;    /* ns */
  uint32_t need, have; /* bytes of the answer awaited / got (client); of a request got (server) */
  unsigned char in[8192];
  uint32_t out_left; /* server: bytes of the answer still to write */
  uint32_t out_size;
};

static struct conn *conns[CONNS_MAX];
static int ep;

static void fail(const char *what) {
  perror(what);
  exit(1);
}
static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}
static void put32(unsigned char *p, uint32_t v) {
  v = htonl(v);
  memcpy(p, &v, 4);
}
static uint32_t get32(const unsigned char *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return ntohl(v);
}
static struct conn *add(int fd, uint32_t events) {
  if (fd < 0 || fd >= CONNS_MAX) {
    fprintf(stderr, "too many descriptors\n");
    exit(1);
  }
  struct conn *c = conns[fd];
  if (!c) c = conns[fd] = malloc(sizeof *c);
  c->fd = fd;
  c->state = 0;
  c->need = c->have = c->out_left = c->out_size = 0;
  struct epoll_event e = {.events = events, .data.fd = fd};
  if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0) fail("epoll_ctl");
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return c;
}
static void watch(int fd, uint32_t events) {
  struct epoll_event e = {.events = events, .data.fd = fd};
  epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

/* ---- stand-in pmcd: an answer is a RESULT of the size that the request asks for ---- */
static unsigned char *answer;
static const uint32_t answer_max = 64u << 20;

static void answer_out(struct conn *c) {
  while (c->out_left) {
    uint32_t at = c->out_size - c->out_left;
    ssize_t n = send(c->fd, answer + at, c->out_left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EAGAIN) watch(c->fd, EPOLLIN | EPOLLOUT);
      return;
    }
    c->out_left -= n;
  }
}
static void serve(int port) {
  static const unsigned char challenge[20] = {0, 0, 0, 20, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0x0e, 0x44};
  answer = calloc(1, answer_max);
  int ls = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(ls, (void *)&a, sizeof a) < 0 || listen(ls, 4096) < 0) fail("listen");
  ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = ls}, ev[256];
  epoll_ctl(ep, EPOLL_CTL_ADD, ls, &e);
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    int n = epoll_wait(ep, ev, 256, -1);
    for (int i = 0; i < n; i++) {
      if (ev[i].data.fd == ls) {
        int fd = accept4(ls, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) continue;
        add(fd, EPOLLIN);
        if (send(fd, challenge, 20, MSG_NOSIGNAL) != 20) continue;
        continue;
      }
      struct conn *c = conns[ev[i].data.fd];
      if (ev[i].events & EPOLLOUT) {
        watch(c->fd, EPOLLIN);
        answer_out(c);
      }
      if (!(ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
      ssize_t got = recv(c->fd, c->in + c->have, sizeof c->in - c->have, 0);
      if (got <= 0) {
        close(c->fd);
        continue;
      }
      c->have += got;
      uint32_t at = 0;
      while (c->have - at >= 12) {
        uint32_t len = get32(c->in + at), type = get32(c->in + at + 4);
        if (len < 12 || len > sizeof c->in) {
          close(c->fd);
          goto next;
        }
        if (c->have - at < len) break;
        if (type == 0x7003 || type == 0x7014) {
          /* ctxid field 0: as many in situ value sets as metrics; else the answer's size in bytes */
          uint32_t size = get32(c->in + at + 16), metrics = get32(c->in + at + 24);
          uint32_t total = size ? size : 24 + 20 * metrics;
          put32(answer, total);
          put32(answer + 4, 0x7001);
          put32(answer + 20, metrics);
          c->out_size = c->out_left = total;
          answer_out(c);
        }
        at += len;
      }
      memmove(c->in, c->in + at, c->have - at);
      c->have -= at;
    next:;
    }
  }
}

/* ---- clients ---- */
static int proxy_port, pmcd_port;
static unsigned char *request;
static uint32_t request_size, answer_size;
static char greeting[64];

static int dial(int port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, (void *)&a, sizeof a) < 0) fail("connect");
  return fd;
}
static void all_out(int fd, const void *p, size_t n) {
  while (n) {
    ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
    if (k < 0) fail("send");
    p = (const char *)p + k;
    n -= k;
  }
}
static void all_in(int fd, void *p, size_t n) {
  while (n) {
    ssize_t k = recv(fd, p, n, 0);
    if (k <= 0) {
      fprintf(stderr, "connection lost: %s\n", k ? strerror(errno) : "end of file");
      exit(1);
    }
    p = (char *)p + k;
    n -= k;
  }
}
static void handshake(int fd) {
  unsigned char b[32];
  if (pmcd_port) {
    all_out(fd, "pmproxy-client 1\n", 17);
    all_in(fd, b, 17);
    all_out(fd, greeting, strlen(greeting));
  }
  all_in(fd, b, 20);
}
static int open_session(void) {
  static const unsigned char creds[20] = {0, 0, 0, 20, 0, 0, 0x70, 0x0c, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 0, 0};
  int fd = dial(proxy_port);
  handshake(fd);
  all_out(fd, creds, 20);
  return fd;
}
static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}
static void make_request(uint32_t metrics, uint32_t bytes) {
  request_size = 28 + 4 * metrics;
  request = calloc(1, request_size);
  put32(request, request_size);
  put32(request + 4, 0x7003);
  put32(request + 16, bytes);
  put32(request + 24, metrics);
  answer_size = bytes ? bytes : 24 + 20 * metrics;
}
static void rounds(int clients, double seconds) {
  uint32_t cap = 8u << 20, count = 0, *times = malloc(4ull * cap);
  unsigned char *buffer = malloc(BUFFER);
  struct epoll_event ev[256];
  ep = epoll_create1(0);
  int *fds = malloc(sizeof(int) * clients);
  for (int i = 0; i < clients; i++) {
    fds[i] = open_session();
    fcntl(fds[i], F_SETFL, O_NONBLOCK);
    add(fds[i], EPOLLIN);
  }
  uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9), t;
  for (int i = 0; i < clients; i++) {
    conns[fds[i]]->sent_at = now();
    all_out(fds[i], request, request_size);
  }
  uint64_t done = 0;
  while ((t = now()) < end) {
    int n = epoll_wait(ep, ev, 256, 100);
    for (int i = 0; i < n; i++) {
      struct conn *c = conns[ev[i].data.fd];
      ssize_t got = recv(c->fd, buffer, BUFFER, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) {
        fprintf(stderr, "connection lost\n");
        exit(1);
      }
      c->have += got;
      if (c->have >= answer_size) {
        c->have -= answer_size;
        t = now();
        if (count < cap) times[count++] = t - c->sent_at > 0xffffffffu ? 0xffffffffu : (uint32_t)(t - c->sent_at);
        done++;
        c->sent_at = t;
        ssize_t w = send(c->fd, request, request_size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w != (ssize_t)request_size) {
          fprintf(stderr, "short send\n");
          exit(1);
        }
      }
    }
  }
  double took = (now() - start) / 1e9;
  qsort(times, count, 4, by_value);
  printf("{\"rate\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"mb_s\":%.0f}\n", done / took, count ? times[count / 2] / 1e3 : 0,
         count ? times[(uint64_t)count * 99 / 100] / 1e3 : 0, done * (double)answer_size / took / 1e6);
}
/* ---- fetches of given metrics ---- */
static void read_metrics(const char *path) {
  FILE *f = fopen(path, "r");
  uint32_t metrics = 0, cap = 1 << 16, pmid;
  if (!f) fail(path);
  request = calloc(1, 28 + 4 * cap);
  while (metrics < cap && fscanf(f, "%u", &pmid) == 1) put32(request + 28 + 4 * metrics++, pmid);
  fclose(f);
  request_size = 28 + 4 * metrics;
  put32(request, request_size);
  put32(request + 4, 0x7003);
  put32(request + 24, metrics);
}
/* Goes over PDUs of an answer by their lengths: 1 when the RESULT is whole. */
static int step(struct conn *c, const unsigned char *p, size_t n, uint64_t *bytes) {
  int over = 0;
  *bytes += n;
  while (n) {
    if (c->need) {
      size_t k = n < c->need ? n : c->need;
      c->need -= k;
      p += k;
      n -= k;
      if (!c->need && c->state == 1) over = 1, c->state = 0;
      continue;
    }
    size_t k = n < 12 - c->have ? n : 12 - c->have;
    memcpy(c->in + c->have, p, k);
    c->have += k;
    p += k;
    n -= k;
    if (c->have < 12) break;
    c->have = 0;
    c->need = get32(c->in) - 12;
    c->state = get32(c->in + 4) == 0x7001;
  }
  return over;
}
static void fetches(int clients, double seconds) {
  static const unsigned char profile[28] = {0, 0, 0, 28, 0, 0, 0x70, 0x02};
  uint32_t cap = 8u << 20, count = 0, *times = malloc(4ull * cap);
  unsigned char *buffer = malloc(BUFFER);
  struct epoll_event ev[256];
  uint64_t bytes = 0;
  ep = epoll_create1(0);
  int *fds = malloc(sizeof(int) * clients);
  for (int i = 0; i < clients; i++) {
    fds[i] = open_session();
    all_out(fds[i], profile, 28);
    add(fds[i], EPOLLIN);
  }
  uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9), t;
  for (int i = 0; i < clients; i++) {
    conns[fds[i]]->sent_at = now();
    all_out(fds[i], request, request_size);
  }
  while (now() < end) {
    int n = epoll_wait(ep, ev, 256, 100);
    for (int i = 0; i < n; i++) {
      struct conn *c = conns[ev[i].data.fd];
      ssize_t got = recv(c->fd, buffer, BUFFER, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) {
        fprintf(stderr, "connection lost\n");
        exit(1);
      }
      if (!step(c, buffer, got, &bytes)) continue;
      t = now();
      if (count < cap) times[count++] = t - c->sent_at > 0xffffffffu ? 0xffffffffu : (uint32_t)(t - c->sent_at);
      c->sent_at = t;
      all_out(c->fd, request, request_size);
    }
  }
  double took = (now() - start) / 1e9;
  qsort(times, count, 4, by_value);
  printf("{\"rate\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"bytes\":%.0f}\n", count / took, count ? times[count / 2] / 1e3 : 0,
         count ? times[(uint64_t)count * 99 / 100] / 1e3 : 0, count ? (double)bytes / count : 0);
}
static void churn(int clients, double seconds) {
  /* as many sessions under way at once as CLIENTS, each: connect, greeting, host line, challenge, close */
  struct epoll_event ev[256];
  struct linger hard = {1, 0};
  unsigned char b[64];
  ep = epoll_create1(0);
  uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9), done = 0;
  for (int i = 0; i < clients; i++) {
    int fd = dial(proxy_port);
    add(fd, EPOLLIN);
    if (pmcd_port) all_out(fd, "pmproxy-client 1\n", 17);
  }
  while (now() < end) {
    int n = epoll_wait(ep, ev, 256, 100);
    for (int i = 0; i < n; i++) {
      struct conn *c = conns[ev[i].data.fd];
      uint32_t want = c->state == 0 && pmcd_port ? 17 : 20;
      ssize_t got = recv(c->fd, b, want - c->have, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) {
        fprintf(stderr, "connection lost in state %d\n", c->state);
        exit(1);
      }
      c->have += got;
      if (c->have < want) continue;
      c->have = 0;
      if (want == 17) {
        c->state = 1;
        all_out(c->fd, greeting, strlen(greeting));
        continue;
      }
      done++;
      setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      close(c->fd);
      int fd = dial(proxy_port);
      add(fd, EPOLLIN);
      if (pmcd_port) all_out(fd, "pmproxy-client 1\n", 17);
    }
  }
  printf("{\"rate\":%.0f}\n", done / ((now() - start) / 1e9));
}
/* ---- HTTP ---- */
/* Where a reply is: its head, a body of known length, or chunks (a size line, data with its line end). */
enum { HEAD, BODY, SIZE, DATA, TRAILER };
struct web {
  int phase, status;
  uint64_t left;  /* of the body, or of the chunk with its line end */
  uint32_t have;  /* bytes of the head */
  uint64_t bytes; /* of the reply */
  int line;       /* SIZE, TRAILER: bytes in the line so far */
  int len;        /* of the request */
  char head[4096];
  char req[4096];
};
static struct web *webs[CONNS_MAX];

/* Takes bytes of a reply; how many belong to it, and whether it is over. */
static uint32_t take(struct web *w, const char *p, uint32_t n, int *over) {
  uint32_t at = 0;
  *over = 0;
  while (at < n) {
    switch (w->phase) {
    case HEAD: {
      uint32_t room = sizeof w->head - 1 - w->have, k = n - at < room ? n - at : room;
      if (!room) {
        fprintf(stderr, "long head\n");
        exit(1);
      }
      memcpy(w->head + w->have, p + at, k);
      w->head[w->have + k] = 0;
      char *end = strstr(w->head, "\r\n\r\n");
      if (!end) {
        w->have += k;
        at += k;
        break;
      }
      uint32_t size = (uint32_t)(end + 4 - w->head);
      at += size - w->have;
      w->status = atoi(w->head + 9);
      char *length = strcasestr(w->head, "content-length:");
      w->have = 0;
      w->line = 0;
      if (length && length < end) {
        w->left = strtoull(length + 15, 0, 10);
        w->phase = BODY;
        if (!w->left) goto done;
      } else {
        w->left = 0;
        w->phase = SIZE;
      }
      break;
    }
    case BODY:
    case DATA: {
      uint64_t k = n - at < w->left ? n - at : w->left;
      at += k;
      w->left -= k;
      if (w->left) break;
      if (w->phase == BODY) goto done;
      w->phase = SIZE;
      w->line = 0;
      break;
    }
    case SIZE: {
      char c = p[at++];
      if (c == '\n') {
        w->phase = w->left ? DATA : TRAILER;
        if (w->left) w->left += 2;
        w->line = 0;
      } else if (c != '\r') w->left = w->left * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
      break;
    }
    case TRAILER: {
      char c = p[at++];
      if (c == '\n') {
        if (!w->line) goto done;
        w->line = 0;
      } else if (c != '\r') w->line++;
      break;
    }
    }
  }
  return at;
done:
  w->phase = HEAD;
  *over = 1;
  return at;
}
/* One request, waited for; the reply's first bytes are left in `out`. */
static void ask(int fd, const char *path, char *out, size_t room) {
  char req[2048];
  struct web w = {0};
  size_t have = 0;
  int len = snprintf(req, sizeof req, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path), over = 0;
  all_out(fd, req, len);
  while (!over) {
    char piece[4096];
    ssize_t k = recv(fd, piece, sizeof piece, 0);
    if (k <= 0) {
      fprintf(stderr, "connection lost\n");
      exit(1);
    }
    size_t keep = (size_t)k < room - 1 - have ? (size_t)k : room - 1 - have;
    memcpy(out + have, piece, keep);
    have += keep;
    take(&w, piece, k, &over);
  }
  out[have] = 0;
}
/* `{context}` in the path: a context of its own for each connection, made by asking for `maker`. */
static void http(const char *path, int clients, double seconds, const char *maker) {
  uint32_t cap = 8u << 20, count = 0, *times = malloc(4ull * cap);
  struct epoll_event ev[256];
  char *buffer = malloc(BUFFER);
  int *fds = malloc(sizeof(int) * clients);
  uint64_t done = 0, bad = 0, bytes = 0;
  int lost = 0;
  const char *place = strstr(path, "{context}");
  ep = epoll_create1(0);
  for (int i = 0; i < clients; i++) {
    int fd = fds[i] = dial(proxy_port);
    struct web *w = webs[fd] = calloc(1, sizeof *w);
    char id[32] = "", reply[4096];
    if (place && maker) {
      ask(fd, maker, reply, sizeof reply);
      char *found = strstr(reply, "\"context\":");
      snprintf(id, sizeof id, "%lu", found ? strtoul(found + 10, 0, 10) : 0);
    }
    w->len = place ? snprintf(w->req, sizeof w->req, "GET %.*s%s%s HTTP/1.1\r\nHost: localhost\r\n\r\n", (int)(place - path), path,
                              id, place + 9)
                   : snprintf(w->req, sizeof w->req, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    if (w->len >= (int)sizeof w->req) {
      fprintf(stderr, "long path\n");
      exit(1);
    }
  }
  uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9);
  for (int i = 0; i < clients; i++) {
    add(fds[i], EPOLLIN)->sent_at = now();
    all_out(fds[i], webs[fds[i]]->req, webs[fds[i]]->len);
  }
  while (now() < end || !done) {
    if (now() > end + 20000000000ull) break;
    int n = epoll_wait(ep, ev, 256, 100);
    for (int i = 0; i < n; i++) {
      struct conn *c = conns[ev[i].data.fd];
      struct web *w = webs[ev[i].data.fd];
      ssize_t got = recv(c->fd, buffer, BUFFER, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) { /* whoever dies under this load has the figures of its life */
        lost = 1;
        goto out;
      }
      int over;
      take(w, buffer, got, &over);
      bytes += got;
      if (!over) continue;
      uint64_t t = now();
      if (w->status != 200) bad++;
      else {
        if (count < cap) times[count++] = t - c->sent_at > 0xffffffffu ? 0xffffffffu : (uint32_t)(t - c->sent_at);
        done++;
      }
      c->sent_at = t;
      if (send(c->fd, w->req, w->len, MSG_NOSIGNAL) != w->len) {
        lost = 1;
        goto out;
      }
    }
  }
out:;
  double took = (now() - start) / 1e9;
  qsort(times, count, 4, by_value);
  printf("{\"rate\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"errors\":%llu,\"lost\":%d,\"mb_s\":%.1f}\n", done / took,
         count ? times[count / 2] / 1e3 : 0, count ? times[(uint64_t)count * 99 / 100] / 1e3 : 0, (unsigned long long)bad, lost,
         bytes / took / 1e6);
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "serve")) serve(atoi(argv[2]));
  if (argc < 5) {
    fprintf(stderr, "usage: see the head of load.c\n");
    return 2;
  }
  proxy_port = atoi(argv[2]);
  if (!strcmp(argv[1], "http")) {
    http(argv[3], atoi(argv[4]), atof(argv[5]), argc > 6 ? argv[6] : 0);
    return 0;
  }
  if (!strcmp(argv[1], "fetch")) {
    read_metrics(argv[5]);
    fetches(atoi(argv[3]), atof(argv[4]));
    return 0;
  }
  pmcd_port = atoi(argv[3]);
  snprintf(greeting, sizeof greeting, "127.0.0.1 %d\n", pmcd_port);
  if (!strcmp(argv[1], "rt")) {
    make_request(atoi(argv[5]), 0);
    rounds(atoi(argv[4]), atof(argv[6]));
  } else if (!strcmp(argv[1], "bulk")) {
    make_request(1, atoi(argv[5]));
    rounds(atoi(argv[4]), atof(argv[6]));
  } else if (!strcmp(argv[1], "connect")) {
    churn(atoi(argv[4]), atof(argv[5]));
  } else if (!strcmp(argv[1], "hold")) {
    int n = atoi(argv[4]);
    for (int i = 0; i < n; i++) open_session();
    printf("ready\n");
    fflush(stdout);
    getchar();
  }
  return 0;
}
