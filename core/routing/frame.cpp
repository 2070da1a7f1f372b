#include "core/routing/frame.hpp"
