#include "core/routing/stats.hpp"
