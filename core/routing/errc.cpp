#include "core/routing/errc.hpp"
