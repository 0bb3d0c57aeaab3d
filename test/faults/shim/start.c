/* Which role this process plays, and its control file. */
#include "shim.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct control *shim_control;
char shim_root[4096], shim_shadow[4096];
size_t shim_root_length;

/* python → sidecar; node → services; in distributed mode, by its own home: roles/NAME → NAME-sidecar, NAME. Other programs are left alone. */
static int role(char name[128]) {
  char program[4096] = "";
  if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0) return 0;
  const char *base = strrchr(program, '/') ? strrchr(program, '/') + 1 : program;
  int python = strncmp(base, "python", 6) == 0;
  if (!python && strcmp(base, "node") != 0) return 0;
  const char *home = getenv("STEMMA_HOME"), *own = home ? strstr(home, "/roles/") : NULL;
  if (own) return snprintf(name, 128, "%s%s", own + strlen("/roles/"), python ? "-sidecar" : "") > 0;
  return snprintf(name, 128, python ? "sidecar" : "services") > 0;
}

static void map_control(const char *folder, const char *name) {
  char path[4300];
  snprintf(path, sizeof path, "%s/%s.ctl", folder, name);
  int file = REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || REAL(ftruncate)(file, 4096) != 0) return;
  void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) shim_control = mapped;
  REAL(close)(file);
}

__attribute__((constructor)) void shim_start(void) {
  static int started;
  char name[128];
  if (__atomic_exchange_n(&started, 1, __ATOMIC_SEQ_CST)) return;
  const char *root = getenv("STEMMA_TEST_SHIM_ROOT"), *control = getenv("STEMMA_TEST_SHIM_CONTROL"), *shadow = getenv("STEMMA_TEST_SHIM_SHADOW");
  if (!root || !role(name)) return;
  if (shadow) snprintf(shim_shadow, sizeof shim_shadow, "%s", shadow);
  if (control) map_control(control, name);
  snprintf(shim_root, sizeof shim_root, "%s", root);
  shim_root_length = strlen(shim_root);
}
