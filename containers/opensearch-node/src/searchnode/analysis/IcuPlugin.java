package searchnode.analysis;

import com.ibm.icu.text.FilteredNormalizer2;
import com.ibm.icu.text.Normalizer2;
import com.ibm.icu.text.UnicodeSet;
import java.util.Map;
import org.apache.lucene.analysis.icu.ICUFoldingFilter;
import org.apache.lucene.analysis.icu.ICUNormalizer2CharFilter;
import org.apache.lucene.analysis.icu.ICUNormalizer2Filter;
import org.opensearch.common.settings.Settings;
import org.opensearch.index.analysis.CharFilterFactory;
import org.opensearch.index.analysis.TokenFilterFactory;
import org.opensearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.opensearch.plugins.AnalysisPlugin;
import org.opensearch.plugins.Plugin;

/** Registers icu_normalizer and icu_folding as the analysis-icu plugin does; nothing else of that plugin. */
public class IcuPlugin extends Plugin implements AnalysisPlugin {
    private static Normalizer2 normalizer(Settings settings) {
        boolean decompose = settings.get("mode", "compose").equals("decompose");
        Normalizer2.Mode mode = decompose ? Normalizer2.Mode.DECOMPOSE : Normalizer2.Mode.COMPOSE;
        return limited(Normalizer2.getInstance(null, settings.get("name", "nfkc_cf"), mode), settings);
    }

    private static Normalizer2 limited(Normalizer2 whole, Settings settings) {
        String characters = settings.get("unicode_set_filter");
        return characters == null ? whole : new FilteredNormalizer2(whole, new UnicodeSet(characters).freeze());
    }

    @Override
    public Map<String, AnalysisProvider<CharFilterFactory>> getCharFilters() {
        return Map.of("icu_normalizer", Parts.charFilter((env, settings) -> {
            Normalizer2 normalizer = normalizer(settings);
            return text -> new ICUNormalizer2CharFilter(text, normalizer);
        }));
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "icu_normalizer", Parts.normalizer((env, settings) -> {
                Normalizer2 normalizer = normalizer(settings);
                return tokens -> new ICUNormalizer2Filter(tokens, normalizer);
            }),
            "icu_folding", Parts.normalizer((env, settings) -> {
                Normalizer2 normalizer = limited(ICUFoldingFilter.NORMALIZER, settings);
                return tokens -> new ICUFoldingFilter(tokens, normalizer);
            }));
    }
}
