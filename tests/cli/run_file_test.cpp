#include "cli/run_file.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

using namespace wsr::cli;
namespace fs = std::filesystem;

namespace {

/// A folder of its own as $XDG_RUNTIME_DIR.
struct RuntimeDirectory {
  fs::path path;
  RuntimeDirectory() {
    char text[] = "/tmp/wsr-run-file-test-XXXXXX";
    path = ::mkdtemp(text);
    ::setenv("XDG_RUNTIME_DIR", path.c_str(), 1);
  }
  ~RuntimeDirectory() {
    ::unsetenv("XDG_RUNTIME_DIR");
    fs::remove_all(path);
  }
};

RunRecord record_of_this() { return own_record("http://127.0.0.1:9090", "memory", "web-1~k3f9"); }

}  // namespace

TEST_CASE("a running server is found by its file, and gone with it") {
  RuntimeDirectory runtime;
  const auto directory = run_directory(Make::yes);
  CHECK(directory == runtime.path / "wsr");
  {
    const RunFile file(directory, record_of_this());
    const auto found = running_servers(directory);
    REQUIRE(found.size() == 1);
    CHECK(found[0].pid == ::getpid());
    CHECK(found[0].url == "http://127.0.0.1:9090");
    CHECK(found[0].store == "memory");
    CHECK(found[0].name == "web-1~k3f9");
  }
  CHECK(running_servers(directory).empty());
  CHECK(fs::is_empty(directory));
}

TEST_CASE("the file of a process that is gone is ignored and deleted") {
  RuntimeDirectory runtime;
  const auto directory = run_directory(Make::yes);
  const auto child = ::fork();
  if (child == 0) ::_exit(0);
  auto record = record_of_this();
  record.pid = child;
  record.started = process_start(child);
  ::waitpid(child, nullptr, 0);
  if (record.started.empty()) record.started = "1";
  const RunFile file(directory, record);
  CHECK(running_servers(directory).empty());
  CHECK(fs::is_empty(directory));
}

TEST_CASE("a pid that another process uses now is noticed") {
  RuntimeDirectory runtime;
  const auto directory = run_directory(Make::yes);
  auto record = record_of_this();
  record.started = "12345";
  const RunFile file(directory, record);
  CHECK(running_servers(directory).empty());
}

TEST_CASE("a file that no server wrote is ignored") {
  RuntimeDirectory runtime;
  const auto directory = run_directory(Make::yes);
  std::ofstream(directory / "1.json") << "{\"pid\":1";
  std::ofstream(directory / "2.json") << "{\"pid\":\"two\"}";
  ::symlink("/etc/passwd", (directory / "3.json").c_str());
  CHECK(running_servers(directory).empty());
}

TEST_CASE("a folder that others can enter is not believed") {
  RuntimeDirectory runtime;
  const auto directory = run_directory(Make::yes);
  ::chmod(directory.c_str(), 0755);
  CHECK_THROWS_WITH(run_directory(Make::no), Catch::Contains("not a private folder of yours"));
  fs::remove(directory);
  fs::create_directory(runtime.path / "elsewhere");
  fs::create_directory_symlink(runtime.path / "elsewhere", directory);
  CHECK_THROWS_WITH(run_directory(Make::yes), Catch::Contains("not a private folder of yours"));
}

TEST_CASE("without a folder there are no servers") {
  RuntimeDirectory runtime;
  CHECK(run_directory(Make::no).empty());
  CHECK(running_servers(run_directory(Make::no)).empty());
}

TEST_CASE("the start of a process is a number, and empty when there is none") {
  const auto started = process_start(::getpid());
  CHECK_FALSE(started.empty());
  CHECK(started.find_first_not_of("0123456789") == std::string::npos);
  CHECK(process_start(-1).empty());
}
