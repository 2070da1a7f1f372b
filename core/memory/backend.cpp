#include "core/memory/backend.hpp"
