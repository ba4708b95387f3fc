"""Maps characters that the recogniser takes for their look-alikes back, where the neighbours prove it."""

import re

_KANA = re.compile("[ぁ-ゖァ-ヺ]")
_OUTSIDE_JAPANESE = str.maketrans(
    "单报题议场录錄揭设计务员证书质险费导专业产產应该说說请认识译词语读贸贵购财负责败货贷资赔门"
    "问间闻关阅閱队阶际陆陈难领频预颜风飞饭馆驻验鱼鸟龙级约红纸细织终给统继续维编缩总线练组绍经"
    "结绝罗义习买亚仓众优传伤查值强戶户别步每溫减净节营荣劳稅锅键铁银铜钢针图团围园东华发变对时"
    "开进运达过还边连选适电车轴转软轻较输辆长块处备复头实审层岁币师带帐帮库异张归彻忆怀态恶惊惯"
    "战戏扩执扫护拟择损换摄敌显晓术权极构枪标栏树样桥检欢汇汉汤沟测济浓涂润涨满灭灵热烧爱环现疗"
    "盐监盘矿码础确种积稳穷竞笔简类紧纤纪纯纲纳纵络绩绿缓缔缘缝职联肠肤胜脑临舆舱艺药获虑补规视"
    "览觉观订讨训记许论诉诊试诚话详误课调谈谢贝则贡贺赠赢趋农迟递逻遗邮释鉴钟铃铅链销锐错镇镜闭"
    "闲阀阳阴隐雾韩页顶项顺须顾顿额饮饰饱驱骂鲜齐齿创刘剂剧劝动势协卖卫压厅历县启响圆坚垒壳奖妇"
    "孙宁宽宾尔尘尝岛巩废忧恳悬愤懒拥挥挤摆旣卽鄕鄉郞槪溉黑靑淸渴賴瀨銳悅脫晚俱惠拔粹",
    "単報題議場録録掲設計務員証書質険費導専業産産応該説説請認識訳詞語読貿貴購財負責敗貨貸資賠門"
    "問間聞関閲閲隊階際陸陳難領頻預顔風飛飯館駐験魚鳥竜級約紅紙細織終給統継続維編縮総線練組紹経"
    "結絶羅義習買亜倉衆優伝傷査値強戸戸別歩毎温減浄節営栄労税鍋鍵鉄銀銅鋼針図団囲園東華発変対時"
    "開進運達過還辺連選適電車軸転軟軽較輸輌長塊処備復頭実審層歳幣師帯帳幇庫異張帰徹憶懐態悪驚慣"
    "戦戯拡執掃護擬択損換摂敵顕暁術権極構槍標欄樹様橋検歓匯漢湯溝測済濃塗潤漲満滅霊熱焼愛環現療"
    "塩監盤鉱碼礎確種積穏窮競筆簡類緊繊紀純綱納縦絡績緑緩締縁縫職聯腸膚勝脳臨輿艙芸薬獲慮補規視"
    "覧覚観訂討訓記許論訴診試誠話詳誤課調談謝貝則貢賀贈贏趨農遅逓邏遺郵釈鑑鐘鈴鉛鎖銷鋭錯鎮鏡閉"
    "閑閥陽陰隠霧韓頁頂項順須顧頓額飲飾飽駆罵鮮斉歯創劉剤劇勧動勢協売衛圧庁歴県啓響円堅塁殻奨婦"
    "孫寧寛賓爾塵嘗島鞏廃憂懇懸憤懶擁揮擠擺既即郷郷郎概漑黒青清渇頼瀬鋭悦脱晩倶恵抜粋",
)
"""Forms that JIS X 0208 lacks, and three older ones of it (惠拔粹), to the forms that Japanese has today."""
_KATAKANA = str.maketrans("才夕力口卜工二一千八", "オタカロトエニーチハ")
_AMBIGUOUS = "才夕力口卜工二一千八"
_NO_NUMERALS = "才夕力口卜工"
_KATA = "ァ-ヺー"
_RULES: tuple[tuple[re.Pattern[str], str | None], ...] = (
    # Between katakana; or after them, with no ideograph or hiragana to follow ("カラー" and "コード一覧").
    (re.compile(f"(?<=[{_KATA}])[{_AMBIGUOUS}]+(?=[{_KATA}])"), None),
    (re.compile(f"(?<=[{_KATA}])[{_AMBIGUOUS}]+(?![一-龠々ぁ-ゖ])"), None),
    # Before katakana, where no ideograph stands before it: "力メラ", not "人力モーター".
    (re.compile(f"(?<![一-龠々0-9０-９])[{_NO_NUMERALS}]+(?=[{_KATA}])"), None),
    # Three in a row make no word of ideographs.
    (re.compile(f"[{_NO_NUMERALS}]{{3,}}"), None),
    (re.compile("(?<![ァ-ヺー])デ(?=[0-9]{3}[-‐－ー][0-9]{4})"), "〒"),
    # No word begins with a small ッ or with these, so that this is no particle before a word.
    (re.compile("へ(?=ッ[ァ-ヺ]|ルプ|ルメット|リコプ|クタール)"), "ヘ"),
    (re.compile("[栖捆](?=包)"), "梱"),
    (re.compile("(?<=[ぁ-ヺー一-龠])·(?=[ぁ-ヺー一-龠])"), "・"),
    (re.compile("(?<=[0-9ぁ-ヺー一-龠年月日時分])[~～](?=[0-9ぁ-ヺー一-龠 ]|$)"), "〜"),
)


def restore(text: str) -> str:
    """A page's text; one without kana is not Japanese and stays as it is."""
    if not _KANA.search(text):
        return text
    text = text.translate(_OUTSIDE_JAPANESE)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement or (lambda found: found[0].translate(_KATAKANA)), text)
    return text
