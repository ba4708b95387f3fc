package searchnode.analysis;

import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.StopFilter;
import org.apache.lucene.analysis.ja.JapaneseAnalyzer;
import org.apache.lucene.analysis.ja.JapaneseBaseFormFilter;
import org.apache.lucene.analysis.ja.JapaneseIterationMarkCharFilter;
import org.apache.lucene.analysis.ja.JapaneseKatakanaStemFilter;
import org.apache.lucene.analysis.ja.JapaneseNumberFilter;
import org.apache.lucene.analysis.ja.JapanesePartOfSpeechStopFilter;
import org.apache.lucene.analysis.ja.JapaneseReadingFormFilter;
import org.apache.lucene.analysis.ja.JapaneseTokenizer;
import org.apache.lucene.analysis.ja.dict.UserDictionary;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.index.analysis.Analysis;
import org.opensearch.index.analysis.AnalyzerProvider;
import org.opensearch.index.analysis.CharFilterFactory;
import org.opensearch.index.analysis.TokenFilterFactory;
import org.opensearch.index.analysis.TokenizerFactory;
import org.opensearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.opensearch.plugins.AnalysisPlugin;
import org.opensearch.plugins.Plugin;

/**
 * Registers Lucene's Japanese analysis under the names and settings of the analysis-kuromoji plugin.
 * Left out: n-best settings and the completion filter.
 */
public class KuromojiPlugin extends Plugin implements AnalysisPlugin {
    private static JapaneseTokenizer.Mode mode(Settings settings) {
        return JapaneseTokenizer.Mode.valueOf(settings.get("mode", "search").toUpperCase(Locale.ROOT));
    }

    private static UserDictionary userDictionary(Environment env, Settings settings) {
        List<String> lines =
            Analysis.parseWordList(env, settings, "user_dictionary", "user_dictionary_rules", line -> line);
        if (lines == null || lines.isEmpty()) {
            return null;
        }
        try {
            return UserDictionary.open(new StringReader(String.join("\n", lines)));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static CharArraySet stopWords(Environment env, Settings settings) {
        CharArraySet standard = JapaneseAnalyzer.getDefaultStopSet();
        boolean ignoreCase = settings.getAsBoolean("ignore_case", false);
        return Analysis.parseWords(env, settings, "stopwords", standard, Map.of("_japanese_", standard), ignoreCase);
    }

    private static Set<String> stopTags(Environment env, Settings settings) {
        List<String> tags = Analysis.parseWordList(env, settings, "stoptags", line -> line);
        return tags == null ? JapaneseAnalyzer.getDefaultStopTags() : Set.copyOf(tags);
    }

    @Override
    public Map<String, AnalysisProvider<CharFilterFactory>> getCharFilters() {
        return Map.of("kuromoji_iteration_mark", Parts.charFilter((env, settings) -> {
            boolean kanji = settings.getAsBoolean("normalize_kanji", true);
            boolean kana = settings.getAsBoolean("normalize_kana", true);
            return text -> new JapaneseIterationMarkCharFilter(text, kanji, kana);
        }));
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of("kuromoji_tokenizer", Parts.tokenizer((env, settings) -> {
            UserDictionary words = userDictionary(env, settings);
            boolean withoutPunctuation = settings.getAsBoolean("discard_punctuation", true);
            boolean withoutCompounds = settings.getAsBoolean("discard_compound_token", false);
            JapaneseTokenizer.Mode mode = mode(settings);
            return () -> new JapaneseTokenizer(words, withoutPunctuation, withoutCompounds, mode);
        }));
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "kuromoji_baseform", Parts.filter((env, settings) -> JapaneseBaseFormFilter::new),
            "kuromoji_number", Parts.filter((env, settings) -> JapaneseNumberFilter::new),
            "kuromoji_part_of_speech", Parts.filter((env, settings) -> {
                Set<String> tags = stopTags(env, settings);
                return tokens -> new JapanesePartOfSpeechStopFilter(tokens, tags);
            }),
            "kuromoji_readingform", Parts.filter((env, settings) -> {
                boolean romaji = settings.getAsBoolean("use_romaji", false);
                return tokens -> new JapaneseReadingFormFilter(tokens, romaji);
            }),
            "kuromoji_stemmer", Parts.filter((env, settings) -> {
                int shortest = settings.getAsInt("minimum_length", JapaneseKatakanaStemFilter.DEFAULT_MINIMUM_LENGTH);
                return tokens -> new JapaneseKatakanaStemFilter(tokens, shortest);
            }),
            "ja_stop", Parts.filter((env, settings) -> {
                CharArraySet words = stopWords(env, settings);
                return tokens -> new StopFilter(tokens, words);
            }));
    }

    @Override
    public Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> getAnalyzers() {
        return Map.of("kuromoji", Parts.analyzer((env, settings) -> new JapaneseAnalyzer(
            userDictionary(env, settings), mode(settings),
            Analysis.parseStopWords(env, settings, JapaneseAnalyzer.getDefaultStopSet()),
            JapaneseAnalyzer.getDefaultStopTags())));
    }
}
