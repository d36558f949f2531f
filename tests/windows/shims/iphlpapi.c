/*
 * iphlpapi.dll with the route, interface and address calls that Wine 8.0 lacks
 * or gets wrong. TEST-ONLY, for Wine; never for real Windows.
 *
 * They act on the real tables of the network namespace that Wine runs in, by
 * netlink, so that Linux tools beside it see what a program did, and the
 * kernel's own answers come back. What Linux has no place for (interface
 * metrics, suppressed default routes) is kept in C:\rig-interfaces.bin, which
 * outlives the program as Windows' own settings do. Changes are noted in
 * C:\rig-changes.log. Everything else is forwarded to Wine's own library.
 */
#include <winsock2.h>
#include <windows.h>
#include <ws2ipdef.h>
#include <iphlpapi.h>
#include <netioapi.h>
#include <stdio.h>

#include "netlink.h"

/* ---- small things ---- */

static void note(const char *format, ...)
{
    FILE *file = fopen("C:\\rig-changes.log", "a");
    va_list arguments;

    if (!file)
        return;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
    fclose(file);
}

static FARPROC wines(const char *name)
{
    return GetProcAddress(GetModuleHandleW(L"iphlpapi_wine.dll")
                              ? GetModuleHandleW(L"iphlpapi_wine.dll")
                              : LoadLibraryW(L"iphlpapi_wine.dll"),
                          name);
}

static DWORD windows_error(int linux_error)
{
    switch (-linux_error) {
    case 0:
        return NO_ERROR;
    case 1: /* EPERM */
    case 13: /* EACCES */
        return ERROR_ACCESS_DENIED;
    case 2: /* ENOENT */
    case 3: /* ESRCH */
    case 99: /* EADDRNOTAVAIL */
        return ERROR_NOT_FOUND;
    case 17: /* EEXIST */
        return ERROR_OBJECT_ALREADY_EXISTS;
    case 19: /* ENODEV */
        return ERROR_FILE_NOT_FOUND;
    case 101: /* ENETUNREACH */
    case 113: /* EHOSTUNREACH */
        return ERROR_NETWORK_UNREACHABLE;
    default:
        return ERROR_INVALID_PARAMETER;
    }
}

static unsigned char linux_family(ADDRESS_FAMILY family)
{
    return family == AF_INET6 ? LINUX_INET6 : LINUX_INET;
}

static unsigned size_of(ADDRESS_FAMILY family)
{
    return family == AF_INET6 ? 16 : 4;
}

static const void *bytes_of(const SOCKADDR_INET *address)
{
    return address->si_family == AF_INET6 ? (const void *)&address->Ipv6.sin6_addr
                                          : (const void *)&address->Ipv4.sin_addr;
}

static void set_address(SOCKADDR_INET *address, ADDRESS_FAMILY family, const void *bytes)
{
    memset(address, 0, sizeof(*address));
    address->si_family = family;
    if (bytes)
        memcpy((void *)bytes_of(address), bytes, size_of(family));
}

static BOOL is_zero(const SOCKADDR_INET *address)
{
    static const unsigned char zeros[16];

    return !memcmp(bytes_of(address), zeros, size_of(address->si_family));
}

static BOOL same_address(const SOCKADDR_INET *one, const SOCKADDR_INET *other)
{
    return one->si_family == other->si_family &&
           !memcmp(bytes_of(one), bytes_of(other), size_of(one->si_family));
}

static const char *text_of(const SOCKADDR_INET *address, char text[64])
{
    const unsigned char *bytes = bytes_of(address);
    int at, length = 0;

    if (address->si_family == AF_INET) {
        sprintf(text, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
    } else {
        for (at = 0; at < 16; at += 2)
            length += sprintf(text + length, "%s%x", at ? ":" : "", bytes[at] << 8 | bytes[at + 1]);
    }
    return text;
}

static NET_LUID luid_of(NET_IFINDEX index)
{
    DWORD(WINAPI * convert)(NET_IFINDEX, NET_LUID *) = (void *)wines("ConvertInterfaceIndexToLuid");
    NET_LUID luid = { 0 };

    convert(index, &luid);
    return luid;
}

/* Windows finds an interface by its LUID, and by its index without one. */
static NET_IFINDEX index_of(const NET_LUID *luid, NET_IFINDEX index)
{
    DWORD(WINAPI * convert)(const NET_LUID *, NET_IFINDEX *) =
        (void *)wines("ConvertInterfaceLuidToIndex");
    NET_IFINDEX found = 0;

    if (luid && luid->Value)
        return convert(luid, &found) ? 0 : found;
    return index;
}

/* ---- interfaces ---- */

struct link {
    NET_IFINDEX index;
    ULONG mtu;
    unsigned flags;
    char name[32];
};

struct links {
    struct link list[64];
    unsigned count;
};

static void see_link(const struct nl_header *message, void *context)
{
    const struct nl_link *fixed = (const struct nl_link *)(message + 1);
    const ULONG *mtu = nl_find(message, sizeof(*fixed), LINK_MTU);
    const char *name = nl_find(message, sizeof(*fixed), LINK_NAME);
    struct links *links = context;
    struct link *link = &links->list[links->count];

    if (message->type != NL_NEW_LINK || links->count == 64)
        return;
    link->index = (NET_IFINDEX)fixed->index;
    link->flags = fixed->flags;
    link->mtu = mtu ? *mtu : 0;
    snprintf(link->name, sizeof(link->name), "%s", name ? name : "");
    links->count++;
}

static void all_links(struct links *links)
{
    struct nl_link fixed = { 0 };
    struct nl_message message;

    links->count = 0;
    nl_begin(&message, NL_GET_LINK, NL_DUMP, &fixed, sizeof(fixed));
    nl_request(&message, see_link, links);
}

static BOOL find_link(NET_IFINDEX index, struct link *found)
{
    struct links links;
    unsigned at;

    all_links(&links);
    for (at = 0; at < links.count; at++) {
        if (links.list[at].index == index) {
            *found = links.list[at];
            return TRUE;
        }
    }
    return FALSE;
}

/* What Windows keeps for an interface and Linux has no place for. */
struct setting {
    NET_IFINDEX index;
    ADDRESS_FAMILY family;
    BOOLEAN automatic;
    BOOLEAN no_default_routes;
    ULONG metric;
    ULONG mtu_v6;
};

#define SETTINGS 128
/* What Windows gives an Ethernet of 1 Gbit/s (its automatic metric table). */
#define AUTOMATIC_METRIC 25

static HANDLE lock_settings(void)
{
    HANDLE mutex = CreateMutexW(NULL, FALSE, L"Global\\lanparty-rig-interfaces");

    WaitForSingleObject(mutex, INFINITE);
    return mutex;
}

static void unlock_settings(HANDLE mutex)
{
    ReleaseMutex(mutex);
    CloseHandle(mutex);
}

static size_t load_settings(struct setting list[SETTINGS])
{
    FILE *file = fopen("C:\\rig-interfaces.bin", "rb");
    size_t count = 0;

    if (file) {
        count = fread(list, sizeof(*list), SETTINGS, file);
        fclose(file);
    }
    return count;
}

static struct setting setting_of(NET_IFINDEX index, ADDRESS_FAMILY family)
{
    struct setting list[SETTINGS];
    struct setting otherwise = { index, family, TRUE, FALSE, AUTOMATIC_METRIC, 1500 };
    HANDLE mutex = lock_settings();
    size_t count = load_settings(list);

    unlock_settings(mutex);
    while (count-- > 0)
        if (list[count].index == index && list[count].family == family)
            return list[count];
    return otherwise;
}

static void keep_setting(const struct setting *setting)
{
    struct setting list[SETTINGS];
    HANDLE mutex = lock_settings();
    size_t count = load_settings(list), at;
    FILE *file;

    for (at = 0; at < count; at++)
        if (list[at].index == setting->index && list[at].family == setting->family)
            break;
    if (at < SETTINGS) {
        list[at] = *setting;
        if (at == count)
            count++;
    }
    file = fopen("C:\\rig-interfaces.bin", "wb");
    if (file) {
        fwrite(list, sizeof(*list), count, file);
        fclose(file);
    }
    unlock_settings(mutex);
}

static void fill_interface(MIB_IPINTERFACE_ROW *row, ADDRESS_FAMILY family, const struct link *link)
{
    struct setting setting = setting_of(link->index, family);

    memset(row, 0, sizeof(*row));
    row->Family = family;
    row->InterfaceIndex = link->index;
    row->InterfaceLuid = luid_of(link->index);
    row->UseAutomaticMetric = setting.automatic;
    row->Metric = setting.automatic ? AUTOMATIC_METRIC : setting.metric;
    row->DisableDefaultRoutes = setting.no_default_routes;
    row->NlMtu = family == AF_INET6 && setting.mtu_v6 < link->mtu ? setting.mtu_v6 : link->mtu;
    row->Connected = (link->flags & LINK_RUNNING) != 0;
    row->SupportsNeighborDiscovery = TRUE;
    row->RouterDiscoveryBehavior = RouterDiscoveryDhcp;
    row->DadTransmits = 3;
    row->BaseReachableTime = 30000;
    row->RetransmitTime = 1000;
    /* Windows gives 64 for IPv4 too, and then refuses to set it. */
    row->SitePrefixLength = 64;
}

void WINAPI InitializeIpInterfaceEntry(MIB_IPINTERFACE_ROW *row)
{
    memset(row, 0, sizeof(*row));
}

NETIO_STATUS WINAPI GetIpInterfaceEntry(MIB_IPINTERFACE_ROW *row)
{
    struct link link;

    if (row->Family != AF_INET && row->Family != AF_INET6)
        return ERROR_INVALID_PARAMETER;
    if (!find_link(index_of(&row->InterfaceLuid, row->InterfaceIndex), &link))
        return ERROR_NOT_FOUND;
    fill_interface(row, row->Family, &link);
    return NO_ERROR;
}

static int set_mtu(NET_IFINDEX index, ULONG mtu)
{
    struct nl_link fixed = { 0 };
    struct nl_message message;

    fixed.index = (int)index;
    nl_begin(&message, NL_NEW_LINK, NL_ACK, &fixed, sizeof(fixed));
    nl_add(&message, LINK_MTU, &mtu, sizeof(mtu));
    return nl_request(&message, NULL, NULL);
}

static int change_route(unsigned short verb, unsigned short flags, const MIB_IPFORWARD_ROW2 *row,
                        ULONG metric);

/*
 * Windows sends limited broadcasts and groups by the interface with the lowest
 * metric; Linux by its routes. So an interface that is told to be the lowest
 * gets those routes, and loses them with the metric.
 */
static void lead_broadcasts(const struct link *link, BOOL lead)
{
    static const struct {
        unsigned char bytes[4];
        unsigned char bits;
    } ways[] = { { { 255, 255, 255, 255 }, 32 }, { { 224, 0, 0, 0 }, 4 } };
    unsigned at;

    for (at = 0; at < 2; at++) {
        MIB_IPFORWARD_ROW2 row = { 0 };
        row.InterfaceIndex = link->index;
        set_address(&row.DestinationPrefix.Prefix, AF_INET, ways[at].bytes);
        row.DestinationPrefix.PrefixLength = ways[at].bits;
        set_address(&row.NextHop, AF_INET, NULL);
        change_route(lead ? NL_NEW_ROUTE : NL_DEL_ROUTE, lead ? NL_CREATE | NL_REPLACE : 0, &row, 0);
    }
}

/* RFC 791 and RFC 8200 set the smallest; Windows refuses less. */
#define SMALLEST_MTU_V4 576
#define SMALLEST_MTU_V6 1280

NETIO_STATUS WINAPI SetIpInterfaceEntry(MIB_IPINTERFACE_ROW *row)
{
    struct setting setting;
    struct link link;
    BOOL led, leads;
    int error = 0;

    if (row->Family != AF_INET && row->Family != AF_INET6)
        return ERROR_INVALID_PARAMETER;
    if (!find_link(index_of(&row->InterfaceLuid, row->InterfaceIndex), &link))
        return ERROR_NOT_FOUND;
    if (row->SitePrefixLength > (row->Family == AF_INET ? 32u : 128u))
        return ERROR_INVALID_PARAMETER;
    if (row->NlMtu && row->NlMtu < (row->Family == AF_INET ? SMALLEST_MTU_V4 : SMALLEST_MTU_V6))
        return ERROR_INVALID_PARAMETER;
    setting = setting_of(link.index, row->Family);
    led = !setting.automatic && setting.metric < AUTOMATIC_METRIC;
    setting.automatic = row->UseAutomaticMetric;
    setting.metric = row->Metric;
    setting.no_default_routes = row->DisableDefaultRoutes;
    if (row->Family == AF_INET6 && row->NlMtu)
        setting.mtu_v6 = row->NlMtu;
    /* Linux has one MTU for both families; IPv4's is the one that games feel. */
    if (row->Family == AF_INET && row->NlMtu && row->NlMtu != link.mtu)
        error = set_mtu(link.index, row->NlMtu);
    leads = !setting.automatic && setting.metric < AUTOMATIC_METRIC;
    if (!error) {
        keep_setting(&setting);
        if (row->Family == AF_INET && led != leads)
            lead_broadcasts(&link, leads);
    }
    note("interface %s v%d metric %lu automatic %d mtu %lu no-default-routes %d -> %d", link.name,
         row->Family == AF_INET ? 4 : 6, row->Metric, row->UseAutomaticMetric, row->NlMtu,
         row->DisableDefaultRoutes, error);
    return windows_error(error);
}

NETIO_STATUS WINAPI GetIpInterfaceTable(ADDRESS_FAMILY family, MIB_IPINTERFACE_TABLE **out)
{
    static const ADDRESS_FAMILY families[] = { AF_INET, AF_INET6 };
    MIB_IPINTERFACE_TABLE *table;
    struct links links;
    unsigned at, which;

    all_links(&links);
    /* FreeMibTable, which is Wine's, frees from the process heap. */
    table = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY,
                      sizeof(*table) + 2 * links.count * sizeof(table->Table[0]));
    if (!table)
        return ERROR_NOT_ENOUGH_MEMORY;
    for (which = 0; which < 2; which++)
        for (at = 0; at < links.count; at++)
            if (family == AF_UNSPEC || family == families[which])
                fill_interface(&table->Table[table->NumEntries++], families[which],
                               &links.list[at]);
    *out = table;
    return NO_ERROR;
}

DWORD WINAPI SetInterfaceDnsSettings(GUID adapter, const void *settings)
{
    (void)adapter;
    (void)settings;
    note("dns settings of an interface");
    return NO_ERROR;
}

NETIO_STATUS WINAPI FlushIpNetTable2(ADDRESS_FAMILY family, NET_IFINDEX index)
{
    note("flush neighbours of %lu, family %u", index, family);
    return NO_ERROR;
}

/* ---- routes ---- */

/*
 * Linux takes priority 0 of an IPv6 route for 1,024, so there a metric is
 * written one higher than Windows says it.
 */
static ULONG priority_of(ADDRESS_FAMILY family, ULONG metric)
{
    return family == AF_INET6 ? metric + 1 : metric;
}

static ULONG metric_of(ADDRESS_FAMILY family, ULONG priority)
{
    return family == AF_INET6 && priority ? priority - 1 : priority;
}

static BOOL read_route(const struct nl_header *message, ADDRESS_FAMILY family,
                       MIB_IPFORWARD_ROW2 *row)
{
    const struct nl_route *fixed = (const struct nl_route *)(message + 1);
    const unsigned *out = nl_find(message, sizeof(*fixed), ROUTE_OUT);
    const unsigned *priority = nl_find(message, sizeof(*fixed), ROUTE_PRIORITY);

    memset(row, 0, sizeof(*row));
    if (!out)
        return FALSE;
    row->InterfaceIndex = *out;
    row->InterfaceLuid = luid_of(*out);
    set_address(&row->DestinationPrefix.Prefix, family,
                nl_find(message, sizeof(*fixed), ROUTE_TO));
    row->DestinationPrefix.PrefixLength = fixed->to_bits;
    set_address(&row->NextHop, family, nl_find(message, sizeof(*fixed), ROUTE_VIA));
    row->ValidLifetime = row->PreferredLifetime = 0xffffffff;
    row->Metric = metric_of(family, priority ? *priority : 0);
    row->Protocol =
        fixed->protocol == ROUTE_BY_KERNEL ? MIB_IPPROTO_LOCAL : MIB_IPPROTO_NETMGMT;
    row->Immortal = TRUE;
    row->Loopback = fixed->type == ROUTE_LOCAL;
    return TRUE;
}

struct routes {
    MIB_IPFORWARD_TABLE2 *table;
    ADDRESS_FAMILY family;
};

#define ROUTES 256

static void see_route(const struct nl_header *message, void *context)
{
    const struct nl_route *fixed = (const struct nl_route *)(message + 1);
    struct routes *routes = context;

    if (message->type != NL_NEW_ROUTE || fixed->table != ROUTE_MAIN_TABLE ||
        fixed->type != ROUTE_UNICAST || fixed->family != linux_family(routes->family) ||
        routes->table->NumEntries == ROUTES)
        return;
    if (read_route(message, routes->family, &routes->table->Table[routes->table->NumEntries]))
        routes->table->NumEntries++;
}

NETIO_STATUS WINAPI GetIpForwardTable2(ADDRESS_FAMILY family, MIB_IPFORWARD_TABLE2 **out)
{
    static const ADDRESS_FAMILY families[] = { AF_INET, AF_INET6 };
    MIB_IPFORWARD_TABLE2 *table = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY,
                                            sizeof(*table) + ROUTES * sizeof(table->Table[0]));
    unsigned which;

    if (!table)
        return ERROR_NOT_ENOUGH_MEMORY;
    for (which = 0; which < 2; which++) {
        struct routes routes = { table, families[which] };
        struct nl_route fixed = { 0 };
        struct nl_message message;
        if (family != AF_UNSPEC && family != families[which])
            continue;
        fixed.family = linux_family(families[which]);
        nl_begin(&message, NL_GET_ROUTE, NL_DUMP, &fixed, sizeof(fixed));
        nl_request(&message, see_route, &routes);
    }
    *out = table;
    return NO_ERROR;
}

/* Windows tells routes apart by destination, next hop and interface only. */
static NETIO_STATUS find_route(const MIB_IPFORWARD_ROW2 *wanted, MIB_IPFORWARD_ROW2 *found)
{
    NET_IFINDEX index = index_of(&wanted->InterfaceLuid, wanted->InterfaceIndex);
    ADDRESS_FAMILY family = wanted->DestinationPrefix.Prefix.si_family;
    MIB_IPFORWARD_TABLE2 *table;
    NETIO_STATUS status = ERROR_NOT_FOUND;
    ULONG at;

    if (family != AF_INET && family != AF_INET6)
        return ERROR_INVALID_PARAMETER;
    if (wanted->NextHop.si_family != family)
        return ERROR_INVALID_PARAMETER;
    if (GetIpForwardTable2(family, &table))
        return ERROR_NOT_ENOUGH_MEMORY;
    for (at = 0; at < table->NumEntries && status; at++) {
        const MIB_IPFORWARD_ROW2 *row = &table->Table[at];
        if (row->InterfaceIndex == index &&
            row->DestinationPrefix.PrefixLength == wanted->DestinationPrefix.PrefixLength &&
            same_address(&row->DestinationPrefix.Prefix, &wanted->DestinationPrefix.Prefix) &&
            same_address(&row->NextHop, &wanted->NextHop)) {
            *found = *row;
            status = NO_ERROR;
        }
    }
    HeapFree(GetProcessHeap(), 0, table);
    return status;
}

NETIO_STATUS WINAPI GetIpForwardEntry2(MIB_IPFORWARD_ROW2 *row)
{
    MIB_IPFORWARD_ROW2 found;
    NETIO_STATUS status = find_route(row, &found);

    if (!status)
        *row = found;
    return status;
}

static int change_route(unsigned short verb, unsigned short flags, const MIB_IPFORWARD_ROW2 *row,
                        ULONG metric)
{
    ADDRESS_FAMILY family = row->DestinationPrefix.Prefix.si_family;
    unsigned out = index_of(&row->InterfaceLuid, row->InterfaceIndex);
    ULONG priority = priority_of(family, metric);
    struct nl_route fixed = { 0 };
    struct nl_message message;
    char to[64], via[64];
    int error;

    fixed.family = linux_family(family);
    fixed.to_bits = row->DestinationPrefix.PrefixLength;
    fixed.table = ROUTE_MAIN_TABLE;
    fixed.type = ROUTE_UNICAST;
    if (verb == NL_NEW_ROUTE) {
        fixed.protocol = ROUTE_BY_ADMINISTRATOR;
        if (is_zero(&row->NextHop) && family == AF_INET)
            fixed.scope = SCOPE_LINK;
    } else if (family == AF_INET) {
        fixed.scope = 255;
    }
    nl_begin(&message, verb, NL_ACK | flags, &fixed, sizeof(fixed));
    if (fixed.to_bits)
        nl_add(&message, ROUTE_TO, bytes_of(&row->DestinationPrefix.Prefix), size_of(family));
    if (!is_zero(&row->NextHop))
        nl_add(&message, ROUTE_VIA, bytes_of(&row->NextHop), size_of(family));
    nl_add(&message, ROUTE_OUT, &out, sizeof(out));
    nl_add(&message, ROUTE_PRIORITY, &priority, sizeof(priority));
    error = nl_request(&message, NULL, NULL);
    note("route %s %s/%u via %s interface %u metric %lu -> %d",
         verb == NL_NEW_ROUTE ? "add" : "delete", text_of(&row->DestinationPrefix.Prefix, to),
         row->DestinationPrefix.PrefixLength, text_of(&row->NextHop, via), out, metric, error);
    return error;
}

void WINAPI InitializeIpForwardEntry(MIB_IPFORWARD_ROW2 *row)
{
    memset(row, 0, sizeof(*row));
    row->ValidLifetime = row->PreferredLifetime = row->Metric = 0xffffffff;
    row->Protocol = MIB_IPPROTO_NETMGMT;
    row->Loopback = row->AutoconfigureAddress = row->Publish = row->Immortal = TRUE;
}

NETIO_STATUS WINAPI CreateIpForwardEntry2(const MIB_IPFORWARD_ROW2 *row)
{
    MIB_IPFORWARD_ROW2 present;
    struct link link;
    NETIO_STATUS status = find_route(row, &present);

    if (!status)
        return ERROR_OBJECT_ALREADY_EXISTS;
    if (status != ERROR_NOT_FOUND)
        return status;
    /* The metric is an offset to the interface's; all ones is what Initialize left. */
    if (row->Metric == 0xffffffff)
        return ERROR_INVALID_PARAMETER;
    if (!find_link(index_of(&row->InterfaceLuid, row->InterfaceIndex), &link))
        return ERROR_NOT_FOUND;
    return windows_error(change_route(NL_NEW_ROUTE, NL_CREATE | NL_EXCLUSIVE, row, row->Metric));
}

NETIO_STATUS WINAPI SetIpForwardEntry2(const MIB_IPFORWARD_ROW2 *row)
{
    MIB_IPFORWARD_ROW2 present;
    NETIO_STATUS status = find_route(row, &present);
    int error;

    if (status)
        return status;
    if (present.Metric == row->Metric)
        return NO_ERROR;
    error = change_route(NL_NEW_ROUTE, NL_CREATE | NL_EXCLUSIVE, row, row->Metric);
    if (!error)
        error = change_route(NL_DEL_ROUTE, 0, &present, present.Metric);
    return windows_error(error);
}

NETIO_STATUS WINAPI DeleteIpForwardEntry2(const MIB_IPFORWARD_ROW2 *row)
{
    MIB_IPFORWARD_ROW2 present;
    NETIO_STATUS status = find_route(row, &present);

    if (status)
        return status;
    return windows_error(change_route(NL_DEL_ROUTE, 0, &present, present.Metric));
}

struct best {
    ADDRESS_FAMILY family;
    BOOL found;
    MIB_IPFORWARD_ROW2 row;
    SOCKADDR_INET source;
};

static void see_best(const struct nl_header *message, void *context)
{
    struct best *best = context;
    const void *source = nl_find(message, sizeof(struct nl_route), ROUTE_SOURCE);

    if (message->type != NL_NEW_ROUTE)
        return;
    best->found = read_route(message, best->family, &best->row);
    if (source)
        set_address(&best->source, best->family, source);
}

static int look_up(struct best *best, unsigned flags, NET_IFINDEX index,
                   const SOCKADDR_INET *source, const SOCKADDR_INET *destination)
{
    struct nl_route fixed = { 0 };
    struct nl_message message;

    fixed.family = linux_family(best->family);
    fixed.to_bits = (unsigned char)(8 * size_of(best->family));
    fixed.flags = flags;
    nl_begin(&message, NL_GET_ROUTE, 0, &fixed, sizeof(fixed));
    nl_add(&message, ROUTE_TO, bytes_of(destination), size_of(best->family));
    if (source && source->si_family == best->family && !is_zero(source))
        nl_add(&message, ROUTE_SOURCE, bytes_of(source), size_of(best->family));
    if (index)
        nl_add(&message, ROUTE_OUT, &index, sizeof(index));
    return nl_request(&message, see_best, best);
}

NETIO_STATUS WINAPI GetBestRoute2(NET_LUID *luid, NET_IFINDEX index, const SOCKADDR_INET *source,
                                  const SOCKADDR_INET *destination, ULONG options,
                                  MIB_IPFORWARD_ROW2 *row, SOCKADDR_INET *best_source)
{
    struct best chosen = { 0 }, matched = { 0 };
    int error;

    (void)options;
    if (destination->si_family != AF_INET && destination->si_family != AF_INET6)
        return ERROR_INVALID_PARAMETER;
    chosen.family = matched.family = destination->si_family;
    index = index_of(luid, index);
    /* Once for the source address, once for the entry of the table. */
    if ((error = look_up(&chosen, 0, index, source, destination)) ||
        (error = look_up(&matched, ROUTE_FIB_MATCH, index, source, destination)))
        return windows_error(error);
    if (!matched.found)
        return ERROR_NETWORK_UNREACHABLE;
    *row = matched.row;
    *best_source = chosen.source;
    return NO_ERROR;
}

/* ---- addresses ---- */

void WINAPI InitializeUnicastIpAddressEntry(MIB_UNICASTIPADDRESS_ROW *row)
{
    memset(row, 0, sizeof(*row));
    row->PrefixOrigin = IpPrefixOriginUnchanged;
    row->SuffixOrigin = IpSuffixOriginUnchanged;
    row->ValidLifetime = row->PreferredLifetime = 0xffffffff;
    row->OnLinkPrefixLength = 255;
}

static NETIO_STATUS change_address(unsigned short verb, unsigned short flags,
                                   const MIB_UNICASTIPADDRESS_ROW *row)
{
    ADDRESS_FAMILY family = row->Address.si_family;
    struct nl_address fixed = { 0 };
    struct nl_message message;
    char text[64];
    int error;

    if (family != AF_INET && family != AF_INET6)
        return ERROR_INVALID_PARAMETER;
    fixed.family = linux_family(family);
    fixed.bits = row->OnLinkPrefixLength;
    if (fixed.bits > 8 * size_of(family))
        fixed.bits = (unsigned char)(8 * size_of(family));
    fixed.index = index_of(&row->InterfaceLuid, row->InterfaceIndex);
    nl_begin(&message, verb, NL_ACK | flags, &fixed, sizeof(fixed));
    nl_add(&message, ADDRESS_LOCAL, bytes_of(&row->Address), size_of(family));
    nl_add(&message, ADDRESS_IS, bytes_of(&row->Address), size_of(family));
    error = nl_request(&message, NULL, NULL);
    note("address %s %s/%u interface %u -> %d", verb == NL_NEW_ADDRESS ? "add" : "delete",
         text_of(&row->Address, text), fixed.bits, fixed.index, error);
    return windows_error(error);
}

NETIO_STATUS WINAPI CreateUnicastIpAddressEntry(const MIB_UNICASTIPADDRESS_ROW *row)
{
    return change_address(NL_NEW_ADDRESS, NL_CREATE | NL_EXCLUSIVE, row);
}

NETIO_STATUS WINAPI SetUnicastIpAddressEntry(const MIB_UNICASTIPADDRESS_ROW *row)
{
    return change_address(NL_NEW_ADDRESS, NL_REPLACE, row);
}

NETIO_STATUS WINAPI DeleteUnicastIpAddressEntry(const MIB_UNICASTIPADDRESS_ROW *row)
{
    MIB_UNICASTIPADDRESS_ROW present = *row;
    NETIO_STATUS(WINAPI * find)(MIB_UNICASTIPADDRESS_ROW *) =
        (void *)wines("GetUnicastIpAddressEntry");
    NETIO_STATUS status = find(&present);

    /* Windows does not want the prefix to be named; Linux does. */
    return status ? status : change_address(NL_DEL_ADDRESS, 0, &present);
}

/* ---- notifications ---- */

enum kind { ROUTES_CHANGED, INTERFACES_CHANGED, ADDRESSES_CHANGED };

struct watch {
    enum kind kind;
    ADDRESS_FAMILY family;
    void *callback;
    void *context;
    int file;
    volatile LONG over;
    HANDLE thread;
};

/* How long a cancelled watch may take to notice, in milliseconds. */
#define NOTICE 50

static MIB_NOTIFICATION_TYPE what_happened(unsigned short type)
{
    switch (type) {
    case NL_NEW_ROUTE:
    case NL_NEW_ADDRESS:
        return MibAddInstance;
    case NL_DEL_ROUTE:
    case NL_DEL_ADDRESS:
    case NL_DEL_LINK:
        return MibDeleteInstance;
    default:
        return MibParameterNotification;
    }
}

static void tell(struct watch *watch, const struct nl_header *message)
{
    const unsigned char *family = (const unsigned char *)(message + 1);
    ADDRESS_FAMILY theirs = *family == LINUX_INET6 ? AF_INET6 : AF_INET;
    MIB_NOTIFICATION_TYPE type = what_happened(message->type);

    if (watch->kind != INTERFACES_CHANGED && watch->family != AF_UNSPEC && watch->family != theirs)
        return;
    if (watch->kind == ROUTES_CHANGED) {
        MIB_IPFORWARD_ROW2 row;
        if (((const struct nl_route *)family)->table == ROUTE_MAIN_TABLE &&
            read_route(message, theirs, &row))
            ((PIPFORWARD_CHANGE_CALLBACK)watch->callback)(watch->context, &row, type);
    } else if (watch->kind == INTERFACES_CHANGED) {
        MIB_IPINTERFACE_ROW row = { 0 };
        row.Family = watch->family == AF_INET6 ? AF_INET6 : AF_INET;
        row.InterfaceIndex = (NET_IFINDEX)((const struct nl_link *)family)->index;
        row.InterfaceLuid = luid_of(row.InterfaceIndex);
        ((PIPINTERFACE_CHANGE_CALLBACK)watch->callback)(watch->context, &row, type);
    } else {
        const void *address = nl_find(message, sizeof(struct nl_address), ADDRESS_IS);
        MIB_UNICASTIPADDRESS_ROW row = { 0 };
        row.InterfaceIndex = ((const struct nl_address *)family)->index;
        row.InterfaceLuid = luid_of(row.InterfaceIndex);
        set_address(&row.Address, theirs, address);
        ((PUNICAST_IPADDRESS_CHANGE_CALLBACK)watch->callback)(watch->context, &row, type);
    }
}

static DWORD WINAPI watch_changes(void *argument)
{
    struct watch *watch = argument;
    unsigned char buffer[16384];

    while (!watch->over) {
        struct linux_pollfd poll = { watch->file, LINUX_POLLIN, 0 };
        const struct nl_header *at = (const struct nl_header *)buffer;
        linux_long length;
        if (linux_poll(&poll, 1, NOTICE) <= 0)
            continue;
        length = linux_read(watch->file, buffer, sizeof(buffer));
        while (!watch->over && length >= (linux_long)sizeof(*at) && at->length >= sizeof(*at)) {
            tell(watch, at);
            length -= NL_ALIGN(at->length);
            at = (const struct nl_header *)((const unsigned char *)at + NL_ALIGN(at->length));
        }
    }
    linux_close(watch->file);
    return 0;
}

static NETIO_STATUS start_watch(enum kind kind, unsigned groups, ADDRESS_FAMILY family,
                                void *callback, void *context, HANDLE *handle)
{
    struct watch *watch = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof(*watch));

    if (!watch)
        return ERROR_NOT_ENOUGH_MEMORY;
    watch->kind = kind;
    watch->family = family;
    watch->callback = callback;
    watch->context = context;
    watch->file = nl_open(groups);
    watch->thread = CreateThread(NULL, 0, watch_changes, watch, 0, NULL);
    *handle = (HANDLE)watch;
    return NO_ERROR;
}

NETIO_STATUS WINAPI NotifyRouteChange2(ADDRESS_FAMILY family, PIPFORWARD_CHANGE_CALLBACK callback,
                                       void *context, BOOLEAN initial, HANDLE *handle)
{
    if (initial)
        callback(context, NULL, MibInitialNotification);
    return start_watch(ROUTES_CHANGED, GROUPS_ROUTES, family, (void *)callback, context, handle);
}

NETIO_STATUS WINAPI NotifyIpInterfaceChange(ADDRESS_FAMILY family,
                                            PIPINTERFACE_CHANGE_CALLBACK callback, void *context,
                                            BOOLEAN initial, HANDLE *handle)
{
    if (initial)
        callback(context, NULL, MibInitialNotification);
    return start_watch(INTERFACES_CHANGED, GROUPS_LINKS, family, (void *)callback, context, handle);
}

NETIO_STATUS WINAPI NotifyUnicastIpAddressChange(ADDRESS_FAMILY family,
                                                 PUNICAST_IPADDRESS_CHANGE_CALLBACK callback,
                                                 void *context, BOOLEAN initial, HANDLE *handle)
{
    if (initial)
        callback(context, NULL, MibInitialNotification);
    return start_watch(ADDRESSES_CHANGED, GROUPS_ADDRESSES, family, (void *)callback, context,
                       handle);
}

/* No callback runs once this has returned, as Windows promises. */
NETIO_STATUS WINAPI CancelMibChangeNotify2(HANDLE handle)
{
    struct watch *watch = handle;

    if (!watch)
        return ERROR_INVALID_PARAMETER;
    InterlockedExchange(&watch->over, 1);
    WaitForSingleObject(watch->thread, INFINITE);
    CloseHandle(watch->thread);
    HeapFree(GetProcessHeap(), 0, watch);
    return NO_ERROR;
}
