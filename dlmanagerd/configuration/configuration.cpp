#include "dlmanagerd/configuration/configuration.hpp"

#include "dlmanagerd/configuration/configuration_table.hpp"
#include "dlmanagerd/configuration/limits_configuration.hpp"
#include "shared/file_descriptor.hpp"
#include "shared/manager_status.hpp"
#include "shared/unix_address.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <optional>
#include <pwd.h>
#include <unistd.h>

namespace dlhandoff::service {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::string_view default_user = "www-data";
/// A manager needs some for itself: its log, board, epoll and so on.
constexpr std::int64_t fewest_descriptors = 32;
/// Less than this holds nobody's response.
constexpr std::uint64_t least_tcp_memory = 1024 * 1024;
/// NR_OPEN's default is 2^20; an admin may raise it (proc(5), /proc/sys/fs/nr_open) up to this.
constexpr std::int64_t most_descriptors = 1'073'741'816;

std::optional<uid_t> uid_of(const std::string& user) {
    std::vector<char> buffer(1024);
    for (;;) {
        passwd entry{};
        passwd* found = nullptr;
        const int error = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
        if (error == ERANGE) {
            buffer.resize(buffer.size() * 2);
            continue;
        }
        if (found == nullptr)
            return std::nullopt;
        return entry.pw_uid;
    }
}

void read_users(configuration_table& table, std::string_view key, std::vector<uid_t>& into) {
    constexpr std::string_view allowed =
        R"(a list of user names or numeric user ids, such as ["www-data", 33])";
    // (uid_t)-1 is no user: it means "unchanged" to chown(2) and others.
    constexpr std::int64_t most = std::numeric_limits<uid_t>::max() - 1;
    const toml::array* list = table.list(key, allowed);
    if (list == nullptr)
        return;
    into.clear();
    for (const toml::node& item : *list) {
        if (const auto number = item.value_exact<std::int64_t>()) {
            if (*number < 0 || *number > most)
                table.wrong(key, item, std::to_string(*number) + " is no user id",
                            "0 to " + std::to_string(most));
            else
                into.push_back(static_cast<uid_t>(*number));
        } else if (const auto user = item.value_exact<std::string>()) {
            if (const auto uid = uid_of(*user))
                into.push_back(*uid);
            else
                table.wrong(key, item, "no user \"" + *user + "\" on this machine", allowed);
        } else {
            table.wrong_type(key, item, "names and numbers in it", allowed);
        }
    }
}

void read_listen(configuration_table& table, std::string& into) {
    if (const auto path = table.text("listen", "an absolute path")) {
        if (const std::string why = why_not_listen_at(*path); !why.empty())
            table.wrong("listen", why);
        into = *path;
    }
}

void read_managers(configuration_table& table, configuration& into) {
    table.count_or_auto("managers", into.managers, most_managers);
    table.count_or_auto("max_managers", into.max_managers, most_managers);
    if (into.max_managers != 0 && into.managers > into.max_managers && table.has("managers"))
        table.wrong("managers", std::to_string(into.managers) + " is more than max_managers",
                    "at most " + std::to_string(into.max_managers));
    table.duration("duplicate_idle", into.duplicate_idle, milliseconds(10), hours(24));
    constexpr std::string_view allowed = R"(an absolute path, or "" for no admin socket)";
    if (const auto path = table.text("admin", allowed)) {
        if (const std::string why = path->empty() ? "" : why_not_listen_at(*path); !why.empty())
            table.wrong("admin", why + R"(; or "" for no admin socket)");
        if (*path == into.listen)
            table.wrong("admin", '"' + *path + "\" is what `listen` names", allowed);
        into.admin = *path;
    } else if (into.listen == admin_path_beside(into.listen)) {
        table.wrong("listen", "the admin socket would be there; set `admin` to another path");
    }
}

void read_log(configuration_table table, configuration& into) {
    table.choice("level", into.log.level,
                 {{"debug", log_level::debug},
                  {"info", log_level::info},
                  {"warning", log_level::warning},
                  {"error", log_level::error}});
    constexpr std::string_view allowed = R"(an absolute path, or "" for no transfer log)";
    if (const auto path = table.text("transfers", allowed)) {
        if (!path->empty() && path->front() != '/')
            table.wrong("transfers", '"' + *path + "\" is not an absolute path", allowed);
        into.log.transfers = *path;
    }
    table.reject_others();
}

void read_limits(configuration_table table, configuration& into) {
    table.number("descriptors", into.limits.descriptors, fewest_descriptors, most_descriptors,
                 "for as many as RLIMIT_NOFILE allows");
    table.size("tcp_memory", into.limits.tcp_memory, least_tcp_memory,
               "for half of what the system has for TCP");
    read_common_limits(table, into.limits.table.all);
    table.reject_others();
}

} // namespace

std::string why_not_listen_at(std::string_view path) {
    std::string what;
    if (path.empty() || path.front() != '/')
        what = '"' + std::string(path) + "\" is not an absolute path";
    else if (path.size() > unix_address::longest_path)
        what = "the path has " + std::to_string(path.size()) + " bytes, too many for a Unix socket";
    else if (path.find('\0') != std::string_view::npos)
        what = "the path has a NUL byte in it";
    else
        return {};
    return what + "; allowed: an absolute path of at most " + std::to_string(unix_address::longest_path) +
           " bytes";
}

std::string admin_path_beside(const std::string& listen) {
    return listen.substr(0, listen.rfind('/') + 1) + "admin.sock";
}

configuration default_configuration() {
    configuration result;
    if (const auto uid = uid_of(std::string(default_user)))
        result.allow_users.push_back(*uid);
    result.limits.table.classes = {default_class(result.limits.table.all)};
    return result;
}

configuration parse_configuration(std::string_view text, const std::string& file) {
    configuration result = default_configuration();
    configuration_problems problems(file);
    toml::table root;
    try {
        root = toml::parse(text);
    } catch (const toml::parse_error& error) {
        problems.add(error.source().begin.line, std::string(error.description()));
    }
    problems.throw_if_any();

    configuration_table table(root, "", problems);
    read_listen(table, result.listen);
    read_users(table, "allow_users", result.allow_users);
    read_users(table, "admin_users", result.admin_users);
    table.duration("drain_timeout", result.drain_timeout, milliseconds(0), hours(24));
    read_managers(table, result);
    if (const auto* log = table.section("log"))
        read_log({*log, "log", problems}, result);
    if (const auto* limits = table.section("limits"))
        read_limits({*limits, "limits", problems}, result);
    result.limits.table.classes = {default_class(result.limits.table.all)};
    if (const auto* classes = table.section("class"))
        read_classes(*classes, problems, result.limits.table);
    table.reject_others();
    problems.throw_if_any();
    return result;
}

configuration load_configuration(const std::string& file) {
    std::string text;
    const file_descriptor source(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 4096> buffer;
    ssize_t count = source ? 0 : -1;
    while (source && (count = ::read(source.get(), buffer.data(), buffer.size())) > 0)
        text.append(buffer.data(), static_cast<std::size_t>(count));
    if (count < 0)
        throw configuration_error("cannot read the configuration file " + file + ": " + std::strerror(errno));
    return parse_configuration(text, file);
}

} // namespace dlhandoff::service
