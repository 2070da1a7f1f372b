#include "core/wire/utf8.hpp"
