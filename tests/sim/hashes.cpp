// sim_hashes FOLDER: the trace hashes of known runs, held against known_hashes.inc. A program without a test library,
// so that every compiler and optimisation can build it quickly; see `./dev determinism`.
#include <array>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "sim/scenario_reader.hpp"
#include "sim/trace.hpp"
#include "sim/world.hpp"

using namespace wsr::sim;

namespace {

constexpr std::pair<const char*, std::uint64_t> known_hashes[] = {
#include "tests/sim/known_hashes.inc"
};

bool is_same(const std::string& folder, const std::string& name, std::uint64_t known) {
  const std::string file = folder + "/" + name + ".json";
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  auto read = read_scenario(text.str(), file);
  const auto* scenario = std::get_if<Scenario>(&read);
  if (scenario == nullptr) {
    std::fprintf(stderr, "%s cannot be read\n", file.c_str());
    return false;
  }
  const std::uint64_t hash = run(*scenario, {}).hash;
  Trace trace;
  RunOptions traced;
  traced.observer = &trace;
  const std::uint64_t hash_traced = run(*scenario, traced).hash;
  std::printf("%-24s %016" PRIx64 "\n", name.c_str(), hash);
  if (hash == known && hash_traced == known) return true;
  std::fprintf(stderr, "%s: %016" PRIx64 " and, traced, %016" PRIx64 " instead of %016" PRIx64 "\n", name.c_str(), hash,
               hash_traced, known);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: sim_hashes FOLDER\n", stderr);
    return 64;
  }
  bool is_good = true;
  for (const auto& [name, known] : known_hashes) is_good = is_same(argv[1], name, known) && is_good;
  return is_good ? 0 : 1;
}
