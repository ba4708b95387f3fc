"""A cache of page groups in a dictionary, by their first pages."""


class MemoryCache(dict[int, bytes]):
    def load(self, first_page: int) -> bytes | None:
        return self.get(first_page)

    def save(self, first_page: int, data: bytes) -> None:
        self[first_page] = data
