// Jury: the scenario's expectations: opens their windows, looks at them, and says at the end what came of each.
//
// Thread-safety: none; part of one run. Doubles are for comparing only: nothing they decide goes back into the run.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/director.hpp"
#include "sim/parts.hpp"

namespace wsr::sim {

struct Outcome {
  enum class Verdict : std::uint8_t { passed, failed, late /* liveness */, vacuous } verdict = Verdict::vacuous;
  std::string name;
  std::string says;  // why, with the figures
  Position position;
  Nanos at = 0;                   // when it was judged
  std::uint64_t event = 0;        // the last event before that
  std::optional<Nanos> from, to;  // the window; none: never opened, or open to the end
  bool operator==(const Outcome&) const = default;
};

[[nodiscard]] std::string_view to_string(Outcome::Verdict verdict);

class Jury {
public:
  Jury(Parts& parts, Director& director);
  void begin();
  /// Windows whose moments have come are opened and closed.
  void on_moment();
  void look();
  void end();
  /// The run ends before its time: what is decided stays so, the rest is not judged.
  void end_early();
  [[nodiscard]] const std::vector<std::string>& not_judged() const { return not_judged_; }
  [[nodiscard]] const std::vector<Outcome>& outcomes() const { return outcomes_; }

private:
  struct Case {
    const Expectation* expectation = nullptr;
    std::vector<Metrics::Window*> windows;  // of its terms, left and right of each comparison; null: none
    std::optional<Nanos> from, to;
    bool is_open = false, is_over = false;
    bool has_looked = false;
    std::optional<Nanos> last_false;  // eventually
    Outcome outcome;
  };
  struct Value {
    double number = 0;
    bool is_vacuous = false;
  };

  void open(Case& each);
  void close(Case& each);
  void judge(Case& each, Outcome::Verdict verdict, std::string says);
  [[nodiscard]] bool holds(const Case& each, bool& is_vacuous, std::string* says);
  [[nodiscard]] Value value(const Expression::Term& term, const Metrics::Window* window, const Case& each);

  Parts& parts_;
  Director& director_;
  std::vector<Case> cases_;
  std::vector<Outcome> outcomes_;
  std::vector<std::string> not_judged_;
};

}  // namespace wsr::sim
