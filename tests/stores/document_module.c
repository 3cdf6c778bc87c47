/* A data type with the name RedisJSON gives its own, and a command that makes such a key. Redis's
 * header is not needed: the few functions used are asked for by name. */
#include <stddef.h>
#include <stdint.h>

#define OK 0
#define READ 1
#define WRITE 2

typedef struct {
    uint64_t version;
    void *load;
    void *save;
    void *rewrite;
    void *memory;
    void *digest;
    void (*release)(void *);
    void *rest[16];
} Methods;

static void (*set_attributes)(void *, const char *, int, int);
static int (*create_command)(void *, const char *, int (*)(void *, void **, int), const char *, int, int, int);
static void *(*create_type)(void *, const char *, int, Methods *);
static void *(*open_key)(void *, void *, int);
static int (*set_value)(void *, void *, void *);
static void (*close_key)(void *);
static int (*reply_text)(void *, const char *);
static void *type;
static char document;

static void release(void *value) { (void)value; }

static void *load(void *io, int version) {
    (void)io;
    (void)version;
    return &document;
}

static void save(void *io, void *value) {
    (void)io;
    (void)value;
}

static int make(void *context, void **arguments, int count) {
    if (count != 2) return 1;
    void *key = open_key(context, arguments[1], READ | WRITE);
    set_value(key, type, &document);
    close_key(key);
    return reply_text(context, "OK");
}

int RedisModule_OnLoad(void *context, void **arguments, int count) {
    (void)arguments;
    (void)count;
    int (*get)(const char *, void *) = ((int (**)(const char *, void *))context)[0];
    if (get("RedisModule_SetModuleAttribs", &set_attributes) != OK) return 1;
    get("RedisModule_CreateCommand", &create_command);
    get("RedisModule_CreateDataType", &create_type);
    get("RedisModule_OpenKey", &open_key);
    get("RedisModule_ModuleTypeSetValue", &set_value);
    get("RedisModule_CloseKey", &close_key);
    get("RedisModule_ReplyWithSimpleString", &reply_text);
    set_attributes(context, "document", 1, 1);
    Methods methods = {.version = 1, .load = load, .save = save, .release = release};
    type = create_type(context, "ReJSON-RL", 0, &methods);
    if (type == NULL) return 1;
    return create_command(context, "document.make", make, "write", 1, 1, 1);
}
