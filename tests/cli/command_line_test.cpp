#include "cli/command_line.hpp"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "cli/exit_code.hpp"
#include "cli/options.hpp"
#include "cli/owners.hpp"
#include "cli/room.hpp"
#include "cli/send.hpp"
#include "cli/serve.hpp"
#include "cli/simulate.hpp"

using namespace wsr::cli;
using Words = std::vector<std::string>;

namespace {

/// All of `wsr` but running it.
struct Wsr {
  CLI::App app;
  ServeOptions serve;
  SendOptions send;
  RoomOptions room;
  OwnersOptions owners;
  SimulateOptions simulate;

  Wsr() {
    app.set_config("--config")->envname("WSR_CONFIG")->type_name("FILE");
    app.config_formatter(make_config_reader(app));
    app.allow_config_extras(CLI::config_extras_mode::error);
    app.require_subcommand(1);
    for (auto* command : {add_serve(app, serve), add_send(app, send), add_room(app, room), add_owners(app, owners),
                          add_simulate(app, simulate)})
      command->fallthrough();
  }
};

/// What is said about `words`; empty if they are right.
std::string said_about(const Words& words) {
  Wsr wsr;
  try {
    read_command_line(wsr.app, words);
  } catch (const UsageError& wrong) {
    return wrong.what();
  }
  return "";
}

struct Variable {
  const char* name;
  Variable(const char* variable, const std::string& value) : name(variable) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name); }
};

struct File {
  std::string path;
  explicit File(const std::string& text) : path("/tmp/wsr-command-line-" + std::to_string(::getpid()) + ".toml") {
    std::ofstream(path) << text;
  }
  ~File() { std::remove(path.c_str()); }
};

void each_command(CLI::App& app, Words path, const std::function<void(CLI::App&, const Words&)>& look) {
  look(app, path);
  for (auto* command : app.get_subcommands({})) {
    path.push_back(command->get_name());
    each_command(*command, path, look);
    path.pop_back();
  }
}

constexpr const char* commands = "serve, send, room, owners and simulate (wsr --help says more)";

}  // namespace

TEST_CASE("a command that does not exist is named, with those that do") {
  CHECK(said_about({"bogus"}) == std::string("there is no command 'bogus'; there are: ") + commands);
  CHECK(said_about({"sned", "alice", "hi"}) ==
        std::string("there is no command 'sned': did you mean 'send'? There are: ") + commands);
  CHECK(said_about({"room", "sise", "lobby"}) ==
        "there is no command 'sise' for wsr room: did you mean 'size'? There are: list, size, members, is-member, "
        "push, watch, join and leave (wsr room --help says more)");
}

TEST_CASE("without a command there is a short list of them") {
  const auto text = said_about({});
  CHECK_THAT(text, Catch::StartsWith("a command is missing: wsr COMMAND [OPTIONS]\n  serve "));
  for (const auto* each : {"send", "room", "owners", "simulate", "wsr --help"}) CHECK_THAT(text, Catch::Contains(each));
}

TEST_CASE("an option that does not exist is named, with its command and the nearest that exists") {
  CHECK(said_about({"serve", "--portt", "1"}) == "there is no option '--portt' for wsr serve: did you mean '--port'?");
  CHECK(said_about({"serve", "--portt=1"}) == "there is no option '--portt' for wsr serve: did you mean '--port'?");
  CHECK(said_about({"serve", "--zzzzzzzz"}) ==
        "there is no option '--zzzzzzzz' for wsr serve; wsr serve --help lists them");
  CHECK(said_about({"room", "push", "lobby", "hi", "--form", "x"}) ==
        "there is no option '--form' for wsr room push: did you mean '--from'?");
}

TEST_CASE("a misspelt option is found in every command, before what else is missing") {
  Wsr wsr;
  std::size_t tried = 0;
  each_command(wsr.app, {}, [&](CLI::App& command, const Words& path) {
    if (path.empty()) return;
    for (const auto* option : command.get_options()) {
      if (option->get_lnames().empty() || option->get_lnames().front().size() < 4) continue;
      const auto wrong = "--" + option->get_lnames().front() + "q";
      auto words = path;
      words.push_back(wrong);
      CAPTURE(words);
      CHECK_THAT(said_about(words), Catch::Contains("'" + wrong + "'") && Catch::Contains("did you mean '--"));
      ++tried;
    }
  });
  CHECK(tried > 60);
}

TEST_CASE("an option with one dash, or before its command, is told how to be said") {
  CHECK(said_about({"serve", "-port", "1"}) == "there is no option '-port' for wsr serve: did you mean '--port'?");
  CHECK(said_about({"simulate", "x", "-seed", "1"}) ==
        "there is no option '-seed' for wsr simulate: did you mean '--seed'?");
  CHECK(said_about({"--port", "1", "serve"}) == "put --port after its command: wsr serve --port");
  CHECK(said_about({"-p", "1"}) == "put -p after its command: wsr serve -p");
}

TEST_CASE("a word that nothing takes is shown beside what is taken") {
  CHECK(said_about({"serve", "9090"}) == "'9090' is one argument too many; usage: wsr serve [OPTIONS]");
  CHECK(said_about({"room", "size", "a", "b"}) == "'b' is one argument too many; usage: wsr room size ROOM [OPTIONS]");
}

TEST_CASE("words that are missing are named, with the usage and an example") {
  CHECK(said_about({"send"}) ==
        "wsr send needs CLIENT... TEXT\n"
        "  usage:    wsr send CLIENT... TEXT [OPTIONS]\n"
        "  example:  wsr send alice \"hi\"");
  CHECK(said_about({"room", "push", "lobby"}) ==
        "wsr room push needs TEXT\n"
        "  usage:    wsr room push ROOM TEXT [OPTIONS]\n"
        "  example:  wsr room push lobby \"hi\"");
  CHECK_THAT(said_about({"room", "join"}), Catch::StartsWith("wsr room join needs ROOM and CLIENT\n"));
  CHECK_THAT(said_about({"owners", "get"}), Catch::EndsWith("example:  wsr owners get alice"));
  CHECK_THAT(said_about({"simulate"}), Catch::EndsWith("example:  wsr simulate scenarios/"));
}

TEST_CASE("a value that is missing, said twice or neither true nor false is said so") {
  CHECK(said_about({"serve", "--port"}) == "--port needs a value: --port PORT");
  CHECK(said_about({"serve", "--lease"}) == "--lease needs a value: --lease DURATION");
  CHECK(said_about({"serve", "-p", "1", "--port", "2"}) == "--port has 2 values: give one");
  CHECK(said_about({"serve", "--echo=maybe"}) == "--echo 'maybe' is neither true nor false");
}

TEST_CASE("a choice that there is not is shown beside those that there are") {
  CHECK(said_about({"simulate", "x", "--routing", "navie"}) ==
        "--routing 'navie' is not valid: use wsr or naive; did you mean 'naive'?");
  CHECK(said_about({"serve", "--slow-consumer", "wait"}) ==
        "--slow-consumer 'wait' is not valid: use drop, drop_oldest, keep_latest or disconnect");
}

TEST_CASE("what is no number, or too small or too large for one, is refused") {
  CHECK(said_about({"simulate", "x", "--seed", "abc"}) == "--seed 'abc' is not a number: use digits only");
  CHECK(said_about({"simulate", "x", "--seed", "-1"}) == "--seed '-1' is below 0");
  CHECK(said_about({"simulate", "x", "--seed", "18446744073709551616"}) ==
        "--seed '18446744073709551616' is above 18446744073709551615");
  CHECK(said_about({"serve", "--devices-max", "4294967296"}) == "--devices-max '4294967296' is too large");
  CHECK(said_about({"serve", "-p", "70000"}) == "--port '70000' is out of range: 0 to 65535");
  CHECK(said_about({"owners", "--count", "0"}) == "--count '0' is out of range: 1 to 1000");
}

TEST_CASE("the largest seed is taken, and zeros before a number are no octal digits") {
  Wsr largest;
  read_command_line(largest.app, {"simulate", "x", "--seed", "18446744073709551615"});
  CHECK(largest.simulate.seed == 18446744073709551615u);
  Wsr zeros;
  read_command_line(zeros.app, {"simulate", "x", "--seed", "010"});
  CHECK(zeros.simulate.seed == 10u);
}

TEST_CASE("every option of a number refuses words, negative numbers and what no number holds") {
  Wsr wsr;
  std::size_t tried = 0;
  each_command(wsr.app, {}, [&](CLI::App& command, const Words& path) {
    for (const auto* option : command.get_options()) {
      const auto type = option->get_type_name().substr(0, option->get_type_name().find(':'));
      if (type != "N" && type != "PORT" && type != "1..1000") continue;
      for (const auto* value : {"abc", "-1", "-18446744073709551615", "18446744073709551616", "1e3", "0x10", "1.5"}) {
        auto words = path;
        words.push_back(option->get_name() + "=" + value);
        CAPTURE(words);
        CHECK_THAT(said_about(words), Catch::StartsWith(option->get_name() + " '" + value + "' is "));
      }
      ++tried;
    }
  });
  CHECK(tried >= 14);
}

TEST_CASE("a wrong value names the variable or the file that it came from") {
  const auto duration = std::string(" '6' is not a duration: write a whole number and its unit");
  {
    const Variable variable("WSR_LEASE", "6");
    CHECK_THAT(said_about({"serve"}), Catch::StartsWith("WSR_LEASE" + duration));
    CHECK_THAT(said_about({"serve", "--lease=6"}), Catch::StartsWith("--lease" + duration));
  }
  const File file("[serve]\nlease = \"6\"\n");
  CHECK_THAT(said_about({"serve", "--config", file.path}), Catch::StartsWith(file.path + ": lease" + duration));
}

TEST_CASE("a variable says nothing to the command that does not have it") {
  const Variable port("WSR_PORT", "x"), count("WSR_COUNT", "0"), seed("WSR_SEED", "x");
  CHECK(said_about({"simulate", "x"}).empty());
  CHECK(said_about({"send", "alice", "hi"}).empty());
  CHECK(said_about({"serve", "-p", "1"}).empty());
  CHECK(said_about({"room", "list"}) == "WSR_COUNT '0' is out of range: 1 to 1000");
}

TEST_CASE("WSR_CONFIG is read as --config is, which wins") {
  const File file("[serve]\nport = 7001\n");
  const Variable variable("WSR_CONFIG", file.path);
  Wsr by_variable;
  read_command_line(by_variable.app, {"serve"});
  CHECK(by_variable.serve.port == 7001);
  Wsr by_flag;
  read_command_line(by_flag.app, {"serve", "--config", "/dev/null"});
  CHECK(by_flag.serve.port == 9090);
}

TEST_CASE("a run of simulate depends on its command line, and no variable changes the file that it names") {
  const File file("[simulate]\nseed = 7\n");
  {
    const Variable variable("WSR_CONFIG", file.path);
    Wsr without;
    read_command_line(without.app, {"simulate", "x"});
    CHECK_FALSE(without.simulate.seed);
  }
  const Variable variable("WSR_SEED", "8");
  Wsr with;
  read_command_line(with.app, {"simulate", "x", "--config", file.path});
  CHECK(with.simulate.seed == 7u);
}

TEST_CASE("a config file that is not there names who asked for it") {
  CHECK(said_about({"serve", "--config", "/nonexist.toml"}) == "--config: there is no file '/nonexist.toml'");
  CHECK(said_about({"--config=/tmp", "serve"}) == "--config: '/tmp' is a folder, not a file");
  const Variable variable("WSR_CONFIG", "/nonexist.toml");
  CHECK(said_about({"serve"}) == "WSR_CONFIG: there is no file '/nonexist.toml'");
}

TEST_CASE("a key or section of the config file that does not exist is named, with the file") {
  const auto about = [](const std::string& text) {
    const File file(text);
    const auto said = said_about({"serve", "--config", file.path});
    REQUIRE_THAT(said, Catch::StartsWith(file.path + ": "));
    return said.substr(file.path.size() + 2);
  };
  CHECK(about("[simulate]\nsede = 1\n") == "there is no option 'sede' for wsr simulate: did you mean 'seed'?");
  CHECK(about("[room.push]\nform = \"x\"\n") == "there is no option 'form' for wsr room push: did you mean 'from'?");
  CHECK(about("[serv]\nport = 1\n") ==
        std::string("[serv]: there is no command 'serv': did you mean 'serve'? There are: ") + commands);
  CHECK(about("port = 1\n") == "'port' is in no section: put it below the section of its command, such as [serve]");
  CHECK(about("[serve]\nport = 70000\n") == "port '70000' is out of range: 0 to 65535");
}

TEST_CASE("who asks for help gets it, whatever else is wrong") {
  const File file("[serve]\nprot = 1\n");
  for (const Words& words : {Words{"serve", "--port", "abc", "--help"}, Words{"serve", "--portt", "-h"},
                             Words{"serve", "--config", file.path, "--help"}, Words{"send", "--help"}}) {
    Wsr wsr;
    CAPTURE(words);
    CHECK_THROWS_AS(read_command_line(wsr.app, words), CLI::CallForHelp);
  }
}

TEST_CASE("the named command is the first that is no file's name") {
  const Wsr wsr;
  const auto named = [&](const Words& words) {
    const auto* command = named_command(wsr.app, words);
    return command == nullptr ? "" : command->get_name();
  };
  CHECK(named({"--config", "serve", "simulate", "x"}) == "simulate");
  CHECK(named({"send", "simulate", "hi"}) == "send");
  CHECK(named({"bogus"}).empty());
  CHECK(named({"--config"}).empty());
}
