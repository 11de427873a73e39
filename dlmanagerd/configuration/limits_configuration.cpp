#include "dlmanagerd/configuration/limits_configuration.hpp"

#include "shared/class_name.hpp"

#include <algorithm>

namespace dlhandoff::service {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::int64_t most_downloads = 1'000'000'000;
/// A rate of less than this is a mistake in the unit, or a download that never ends.
constexpr std::uint64_t least_rate = 100;
constexpr std::int64_t most_weight = 1000;
constexpr std::int64_t most_priority = 1000;
constexpr std::size_t most_classes = 64;

} // namespace

void read_common_limits(configuration_table& table, engine::limits& into) {
    table.number("transfers", into.transfers, 1, most_downloads, "for as many as descriptors allow");
    table.number("per_client", into.per_client, 1, most_downloads, "for no bound");
    table.number("queue", into.queue, 1, most_downloads, "for no queue");
    table.duration("queue_timeout", into.queue_timeout, milliseconds(1), hours(24));
    table.size("rate", into.rate, least_rate, "for no bound");
    table.size("client_rate", into.client_rate, least_rate, "for no bound");
    table.duration("stall_timeout", into.stall_timeout, milliseconds(100), hours(24));
    table.size("min_rate", into.min_rate, 1, "for no bound");
    table.duration("min_rate_window", into.min_rate_window, milliseconds(100), hours(24));
}

engine::class_limits default_class(const engine::limits& all) {
    engine::class_limits made{"default", all, 1, 0};
    made.own.transfers = made.own.per_client = 0; // of all together: they needn't be counted twice
    made.own.rate = made.own.client_rate = 0;
    return made;
}

void read_classes(const toml::table& classes, configuration_problems& problems, engine::limit_table& into) {
    configuration_table names(classes, "class", problems);
    for (const auto& [key, value] : classes) {
        const std::string name(key.str());
        const toml::table* found = names.section(key.str());
        if (found == nullptr)
            continue;
        if (!is_class_name(name)) {
            names.wrong(key.str(), "this can't be the name of a class", allowed_class_names);
            continue;
        }
        engine::class_limits made = default_class(into.all);
        made.name = name;
        configuration_table table(*found, "class." + name, problems);
        read_common_limits(table, made.own);
        table.integer("weight", made.weight, 1, most_weight);
        table.integer("priority", made.priority, -most_priority, most_priority);
        table.reject_others();
        if (name == into.classes.front().name)
            into.classes.front() = std::move(made);
        else if (into.classes.size() < most_classes)
            into.classes.push_back(std::move(made));
        else
            names.wrong(key.str(), "one class too many", std::to_string(most_classes) + " of them at most");
    }
}

} // namespace dlhandoff::service
