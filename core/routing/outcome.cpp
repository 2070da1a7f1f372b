#include "core/routing/outcome.hpp"
