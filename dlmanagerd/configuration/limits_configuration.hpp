#pragma once

#include "dlmanagerd/configuration/configuration_table.hpp"
#include "engine/limits/limits.hpp"

/// The limits in a configuration file: [limits], and [class.NAME] for each class.
namespace dlhandoff::service {

/// The keys that [limits] and each class have in common.
void read_common_limits(configuration_table& table, engine::limits& into);

/// The class of downloads that belong to none, as long as the file says nothing of [class.default].
[[nodiscard]] engine::class_limits default_class(const engine::limits& all);

/// Every [class.NAME] in `classes`. `into.all` has been read already, since what a class doesn't say comes
/// from there.
void read_classes(const toml::table& classes, configuration_problems& problems, engine::limit_table& into);

} // namespace dlhandoff::service
