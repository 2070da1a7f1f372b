#include "core/redis/backend.hpp"
