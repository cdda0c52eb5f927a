// status.h: the public Status and Result under the name the inside of varve includes, with the one macro
// that passes a failure on.
#pragma once

#include "varve/status.h"

// Returns from the enclosing function if `expr` is a failed Status.
#define VARVE_TRY(expr)                                                              \
  do {                                                                               \
    if (::varve::Status try_status_ = (expr); !try_status_.ok()) return try_status_; \
  } while (0)
