#include "core/wire/envelope.hpp"
