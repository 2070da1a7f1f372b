#include "core/routing/ids.hpp"
