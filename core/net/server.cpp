#include "core/net/server.hpp"
