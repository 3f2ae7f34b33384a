/* Custom operators in C. A shared library libvart_op_imp_<type>.so exports vart_init_op_imp, which fills in three
 * functions. ':', '/' and '\' of the operator type become '_' in the file name. The library is found as the system
 * finds shared libraries (LD_LIBRARY_PATH and the standard folders), or in a folder that was added with
 * quantforge.runtime.c_ops.add_library_folder.
 *
 *     cc -shared -fPIC -o libvart_op_imp_Mylayer.so mylayer.c
 */
#ifndef VART_OP_IMP_H
#define VART_OP_IMP_H

#include <stddef.h>
#include <stdint.h>

#define VART_OP_IMP_ABI 1

#ifdef __cplusplus
extern "C" {
#endif

/* Element types. Fixed-point integers are the real number times 2^fix_point. */
enum vart_type { VART_FLOAT32 = 0, VART_FLOAT64 = 1, VART_INT8 = 2, VART_UINT8 = 3, VART_INT16 = 4, VART_UINT16 = 5,
                 VART_INT32 = 6, VART_UINT32 = 7, VART_INT64 = 8, VART_UINT64 = 9 };

typedef struct vart_tensor {
    const char *name;    /* name of the tensor */
    const char *arg;     /* name of the argument it belongs to; "output" for the result */
    int32_t type;        /* enum vart_type */
    int32_t fix_point;   /* fractional bits; 0 for floats */
    int32_t ndim;
    const int64_t *dims;
    void *data;          /* dense, C order; inputs must not be written to */
    uint64_t size_bytes;
} vart_tensor;

/* The operator and its attributes. Each get_ function returns 0, or 1 when there is no such attribute of that kind;
 * what it points at lives as long as the operator. Booleans are integers. */
typedef struct vart_op {
    const char *name;
    const char *type;
    void *context;
    int (*get_int)(void *context, const char *attr, int64_t *value);
    int (*get_float)(void *context, const char *attr, double *value);
    int (*get_string)(void *context, const char *attr, const char **value);
    int (*get_ints)(void *context, const char *attr, const int64_t **values, size_t *count);
    int (*get_floats)(void *context, const char *attr, const double **values, size_t *count);
} vart_op;

typedef struct vart_op_imp {
    int32_t abi;                         /* set to VART_OP_IMP_ABI by the caller; return 1 if you need another */
    void *(*init)(const vart_op *op);    /* optional: state of one operator, passed to the others */
    int (*calculate)(void *self, const vart_op *op, size_t num_inputs, const vart_tensor *inputs,
                     vart_tensor *output);      /* 0 when all went well; one thread at a time per operator */
    void (*cleanup)(void *self);         /* optional */
} vart_op_imp;

/* Returns 0 when `imp` was filled in. */
int vart_init_op_imp(vart_op_imp *imp);

#ifdef __cplusplus
}
#endif
#endif
